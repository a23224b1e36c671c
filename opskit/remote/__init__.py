"""What is sent to the host and runs there: standard library and Django only, Python 3.8 and newer.

These files are read as text and travel over the connection; nothing of opskit is installed on the host.
"""
