from django.db import models


class Category(models.Model):
    name = models.CharField(max_length=80, unique=True)


# The last class of this file, and its fields the last lines: `invoke demo.add-migration` appends one.
class Product(models.Model):
    name = models.CharField(max_length=200)
    price = models.DecimalField(max_digits=9, decimal_places=2)
    added_by = models.ForeignKey("users.User", null=True, on_delete=models.SET_NULL)
    category = models.ForeignKey(Category, null=True, on_delete=models.SET_NULL)
