"""How a command gets to a host: byte streams (ssh, local), the agent's client on top, and the fleet of both."""
