"""A Django app that keeps a database per tenant, and migrates them."""
