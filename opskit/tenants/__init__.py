"""A Django app that keeps a database or a schema per tenant, and migrates them."""
