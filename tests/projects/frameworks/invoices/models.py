from django.db import models


class Invoice(models.Model):
    member = models.ForeignKey("members.Member", on_delete=models.CASCADE)
    cents = models.IntegerField(default=0)
    paid = models.BooleanField(default=False)

    def __str__(self):
        return f"{self.cents} cents"
