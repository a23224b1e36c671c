"""Plain callables that hear events: what people see while a run goes on, and what they find afterwards."""
