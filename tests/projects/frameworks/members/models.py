from django.db import models


class Member(models.Model):
    name = models.CharField(max_length=100)
    email = models.CharField(max_length=200, default="")
    joined = models.DateField(null=True)

    def __str__(self):
        return self.name
