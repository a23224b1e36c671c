"""The checks of an environment: one code, one list of tenants, a place for each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from opskit import model
from opskit.rollout import places
from opskit.rollout.checks import servers, words


def judge(look: model.Look, environment: model.Environment) -> Iterator[model.Check]:
    of = environment.name
    yield _revision(look, of)
    yield _listing(look, of)
    yield _shared(look, of)
    if look.survey is not None:
        yield _tenants(look, look.survey, of)
    homes = {name: state for name, state in states(look).items() if state.place is not None}
    if homes:
        yield _master(look, homes, of)
        yield _places(look, homes, of)
        yield _names(homes, of)


def _revision(look: model.Look, of: str) -> model.Check:
    hint = "opskit migrates through the first host that answers: deploy the same code to all, or list only one."
    reached = [seen for seen in look.hosts if not seen.refused]
    different = _different(reached)
    if different:
        return model.Check("revision", of, words.FAILED, different, hint)
    known = {seen.host.name: seen.revision for seen in reached}
    if len(set(filter(None, known.values()))) > 1:
        said = ", ".join(f"{name} {revision[:12] or 'unknown'}" for name, revision in known.items())
        return model.Check("revision", of, words.FAILED, said, hint)
    if "" in known.values():
        compared = len(known) > 1 and all(_code(seen) is not None for seen in reached)
        same = " (the migrations are the same)" if compared else ""
        return model.Check("revision", of, words.UNKNOWN, f"`app.path` is no git checkout{same}")
    return model.Check("revision", of, words.OK, reached[0].revision[:12])


def _different(reached: Sequence[model.Seen]) -> str:
    """Whose migrations differ from the first host's; "" where nobody's do."""
    told = [(seen.host.name, code) for seen in reached if (code := _code(seen)) is not None]
    for name, code in told[1:]:
        first, all_of_them = told[0]
        if all_of_them - code:
            return f"{name} lacks what {first} has: {words.some(sorted(all_of_them - code))}"
        if code - all_of_them:
            return f"{first} lacks what {name} has: {words.some(sorted(code - all_of_them))}"
    return ""


def _code(seen: model.Seen) -> frozenset[str] | None:
    return seen.project.migrations if seen.project else None


def _listing(look: model.Look, of: str) -> model.Check:
    if look.tenants is None:
        shared = look.survey.shared if look.survey else None
        if shared:  # the tenant table itself may be what is pending: it is migrated first
            hint = "what is pending in the shared database may be the reason: see there."
            return model.Check("listing", of, words.WARNING, look.listing_error, hint)
        hint = "the same command, on the host and in `app.path`, shows all of it."
        return model.Check(
            "listing", of, words.FAILED, look.listing_error, words.or_more_time(look.listing_error, hint)
        )
    if not look.tenants:
        return model.Check("listing", of, words.WARNING, "no tenants", "is it the right database?")
    return model.Check("listing", of, words.OK, words.plural(len(look.tenants), "tenant"))


def _shared(look: model.Look, of: str) -> model.Check:
    if look.survey_error:
        hint = words.or_more_time(look.survey_error, "`manage.py migrate --plan` on the host shows all of it.")
        return model.Check("shared database", of, words.FAILED, look.survey_error, hint)
    if look.survey is None or look.survey.shared is None:
        return model.Check("shared database", of, words.UNKNOWN, "this framework can't be asked what is pending there")
    pending = look.survey.shared
    if pending:
        hint = f"`invoke migrate-all --env={of} --shared` migrates it first; without the flag it is refused."
        said = f"{words.plural(len(pending), 'pending migration')}: {words.some(pending)}"
        return model.Check("shared database", of, words.WARNING, said, hint)
    return model.Check("shared database", of, words.OK, "nothing is pending")


def _tenants(look: model.Look, survey: model.Survey, of: str) -> model.Check:
    """Who could not be asked, and who has no schema yet."""
    listed = [tenant.id for tenant in look.tenants or ()]
    faults = {name: state.error for name, state in survey.tenants.items() if state.error}
    faults |= {name: "it was not mentioned" for name in listed if name not in survey.tenants}
    if faults:
        said = "; ".join(f"{words.short(name)}: {why}" for name, why in list(faults.items())[: words.SHOWN])
        more = f"; and {len(faults) - words.SHOWN} more" if len(faults) > words.SHOWN else ""
        hint = f"they would be refused. `invoke show-tenants --env={of} --status` shows them all."
        return model.Check("tenants", of, words.FAILED, f"{len(faults)} of {len(survey.tenants)}: {said}{more}", hint)
    missing = [name for name, state in survey.tenants.items() if state.missing]
    if missing:
        hint = "the framework makes the schema at the first migration. Is that meant?"
        return model.Check(
            "tenants", of, words.WARNING, f"{words.plural(len(missing), 'schema')} missing: {words.some(missing)}", hint
        )
    pending = sum(1 for state in survey.tenants.values() if state.pending)
    return model.Check("tenants", of, words.OK, f"{len(survey.tenants)} asked, {pending} with something pending")


def states(look: model.Look) -> dict[str, model.TenantState]:
    """The tenants' states, in places whose servers have one name each."""
    names = servers.names(look)
    states = dict(look.survey.tenants) if look.survey else {}
    return {name: _renamed(state, names) for name, state in states.items()}


def _renamed(state: model.TenantState, names: Mapping[str, str]) -> model.TenantState:
    if state.place is None:
        return state
    server = names.get(state.place.server, state.place.server)
    return dataclasses.replace(state, place=dataclasses.replace(state.place, server=server))


def _master(look: model.Look, homes: Mapping[str, model.TenantState], of: str) -> model.Check:
    """Whose migrations would run on the shared database."""
    there = _master_place(look)
    if there is None:
        return model.Check("master", of, words.UNKNOWN, "the shared database could not be entered")
    harmed = [name for name, state in homes.items() if state.place == there]
    if harmed:
        hint = "give each a `db_config` with a NAME of its own: migratetenant would migrate the master."
        return model.Check("master", of, words.FAILED, f"their database is the shared one: {words.some(harmed)}", hint)
    public = [name for name, state in homes.items() if state.place == dataclasses.replace(there, schema="public")]
    if public:
        hint = "the shared tables are in that schema, too. Is that meant?"
        return model.Check("master", of, words.WARNING, f"in the shared schema `public`: {words.some(public)}", hint)
    return model.Check("master", of, words.OK, "no tenant is in the shared database's own place")


def _master_place(look: model.Look) -> model.Place | None:
    server = next((server for server in servers.every(look) if not server.error), None)
    if server is None or server is not servers.every(look)[0]:
        return None
    return model.Place(servers.names(look).get(server.name, server.name), server.database)


def _places(look: model.Look, homes: Mapping[str, model.TenantState], of: str) -> model.Check:
    there = _master_place(look)
    double = {place: names for place, names in places.shared(homes).items() if place != there}
    if not double:
        return model.Check("places", of, words.OK, "each tenant has a database or schema of its own")
    said = "; ".join(f"{place}: {words.some(names)}" for place, names in list(double.items())[: words.SHOWN])
    more = f"; and {len(double) - words.SHOWN} more" if len(double) > words.SHOWN else ""
    hint = "one's migrations would run on the other's data: give each its own before anything is migrated."
    return model.Check("places", of, words.FAILED, f"{said}{more}", hint)


def _names(homes: Mapping[str, model.TenantState], of: str) -> model.Check:
    cut = [name for name, state in homes.items() if state.cut]
    if not cut:
        return model.Check("names", of, words.OK, "none is too long for PostgreSQL")
    hint = "PostgreSQL keeps 63 bytes of a name: two that begin alike become one. Rename the schema or database."
    return model.Check("names", of, words.WARNING, f"cut after 63 bytes, of {words.some(cut)}", hint)
