"""Which tenant next, or wait, or stop? Pure: the clock, the runner and the event sink are arguments."""
