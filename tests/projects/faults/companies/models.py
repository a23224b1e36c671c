from django.db import models
from django_omnitenant.models import BaseDomain, BaseTenant


class Company(BaseTenant):
    pass


class Domain(BaseDomain):
    domain = models.CharField(unique=True, max_length=253)
