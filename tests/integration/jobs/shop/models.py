from django.db import models


class Invoice(models.Model):  # type: ignore[misc]
    number = models.IntegerField()

    class Meta:
        db_table = "invoice"
        managed = False
