"""What `invoke` finds here: opskit's tasks."""

from opskit.tasks import namespace

__all__ = ["namespace"]
