"""The first five minutes: a small real Django project with a dozen tenants, and an SSH server to reach it."""
