from django.db import models


class User(models.Model):
    name = models.CharField(max_length=120)
    email = models.EmailField(unique=True)
    joined = models.DateTimeField(auto_now_add=True)
