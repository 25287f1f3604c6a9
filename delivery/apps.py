from django.apps import AppConfig


class DeliveryConfig(AppConfig):
    """What reaches users: serving decides here which version a fetch gets."""

    name = "delivery"
    verbose_name = "Delivery"
