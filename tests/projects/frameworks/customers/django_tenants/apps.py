from django.apps import AppConfig


class CustomersConfig(AppConfig):
    name = "customers.django_tenants"
    label = "customers"
