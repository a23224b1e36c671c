"""What a project can hear of while its tenants are migrated.

Both are sent by every command that migrates a tenant, with its model as sender and in its context: queries go to the
tenant. What a receiver of the first raises fails that tenant before anything has run; what one of the second raises
is logged by Django and changes nothing.
"""

from __future__ import annotations

from django.dispatch import Signal

pre_tenant_migrate = Signal()  # tenant, using: its alias
post_tenant_migrate = Signal()  # tenant, using: its alias, outcome: opskit.model.Outcome
