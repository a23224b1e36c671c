"""`--plan`: what would be done, without lock, journal or trace."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping

from opskit import durations, errors, frameworks, model
from opskit.frameworks import sql as question
from opskit.frameworks import timeouts
from opskit.reporters import sql as sqls
from opskit.reporters import tables
from opskit.reporters.text import named, plural, printable, some, typed
from opskit.rollout import alike, eta, plan, squashes
from opskit.tasks import linting, project, requiring, resuming, reviewing, wiring
from opskit.tasks.task import answer, answer_data, complain, width
from opskit.transport import fleet

_HANDFUL = 5  # tenants with the same to do that have a row each; of more, all such share one
_FEW = 50  # rows, and tenants that are all named
_WIDE = 120  # columns: fifty names on one line are read by nobody, in a pipe either


def show_plan(environment: model.Environment, options: project.Options) -> int:
    """Print what would be done. No lock, no journal, no trace."""
    with wiring.reachable(environment) as reached, contextlib.closing(fleet.Fleet(reached, notice=complain)) as hosts:
        options = requiring.reached(reached, options)
        hosts.open()
        asked = project.Project(reached, frameworks.get(reached), hosts)
        survey = asked.survey()
        shared = (survey.shared if survey else None) or ()
        reviewed = reviewing.reviewed_plan(options, asked, survey)
        try:
            listed = asked.tenants(survey)
            tenants = _chosen(options, listed, survey, hosts)
        except errors.ListingError:
            if not shared or options.out:  # where the tenant table itself is pending, the listing can't work yet
                raise
            listed = tenants = ()
        made = reviewed or plan.make_plan(
            tenants,
            survey,
            environment.rollout,
            everything=options.everything,
            expected=project.history(environment, tenants),
            listed=listed,
        )
        try:
            requiring.Required(reached, options).refuse_missing(survey, reviewed)
        except errors.RequiredFirst as error:
            for line in errors.RequiredFirst(f"it would be refused: {error}", error.hint).told().split("\n"):
                complain(line)
        if options.out:
            reviewing.write(reached, options, hosts.ready.revision, survey, made)
        todo = (tenant for batch in made.batches for tenant in batch.tenants)
        squashed = squashes.told(todo, survey, shared=options.shared)
        whose = _whose(made, shared) if options.sql else {}
        found = _sql(asked, whose) if options.sql else {}
        unasked = (survey is None or survey.shared is None) and asked.framework.shared is not None

    lint = linting.look(found, timeouts.settings(environment.rollout), environment.root, complain)
    if options.json:
        written = {"sql": sqls.as_data(found, lint)} if options.sql else {}
        answer_data(json.dumps({**_plan_data(environment, made, shared), **written}))
    else:
        unseen = ["the shared database is migrated first: nobody can say what is pending there."]
        answer(
            "\n".join(
                [
                    *(unseen if unasked and options.shared else []),
                    *_plan_lines(made, shared, options),
                    *([squashed] if squashed else []),
                    *sqls.as_lines(found, lint, whose),
                    f"next: `{_next(environment, options, bool(shared))}`",
                ]
            )
        )
    return 0


def _whose(made: model.Plan, shared: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """{migration: where it would be applied}, the tenants before the shared database."""
    tenants = {each.id: made.pending.get(each.id) for batch in made.batches for each in batch.tenants}
    return alike.whose({**tenants, model.SHARED.id: shared})


def _sql(asked: project.Project, whose: Mapping[str, tuple[str, ...]]) -> dict[str, model.Sql]:
    """{migration: its SQL}, each asked for once, on the first of its places; {} where nobody can be asked."""
    if not question.can_be_asked(asked.framework):
        complain(f"`{asked.framework.name}` can't be asked for the SQL: it has commands of its own.")
        return {}
    if not whose:
        return {}
    first = {name: "" if places[0] == model.SHARED.id else places[0] for name, places in whose.items()}
    try:
        found: dict[str, model.Sql] = asked.read(
            question.read, asked.fleet.ask(asked.timed(question.command(asked.framework, first)))
        )
    except errors.ListingError as error:
        complain(f"the SQL can't be shown: {error}.")
        return {}
    return found


def _chosen(
    options: project.Options, listed: tuple[model.Tenant, ...], survey: model.Survey | None, hosts: fleet.Fleet
) -> tuple[model.Tenant, ...]:
    """The tenants that the flags mean, or that a run left behind. Raises UsageError, CannotStart."""
    if not options.resume:
        return project.select(listed, options)
    resuming.refuse_changes(options, survey)
    left = resuming.left(options, listed, survey, (hosts.host,), hosts.application_name)
    for text in left.notices:
        complain(text)
    lost = {each.tenant for each in options.resume.run.settled() if each.status is model.Status.UNKNOWN}
    open_ = [tenant.id for tenant in left.tenants if tenant.id in lost]
    if open_:
        complain(f"they start only once their host's lock proves that their commands are over: {some(open_)}")
    return left.tenants


def _plan_data(environment: model.Environment, made: model.Plan, shared: tuple[str, ...]) -> dict[str, object]:
    tenants = [
        {"tenant_id": name, "pending": pending, "error": made.refused.get(name, "")}
        for name, pending in made.pending.items()
    ]
    return {"environment": environment.name, "shared": shared, "tenants": tenants}


def _plan_lines(made: model.Plan, shared: tuple[str, ...], options: project.Options) -> list[str]:
    ids = [tenant.id for batch in made.batches for tenant in batch.tenants]
    parts = [_table({name: made.pending.get(name) for name in ids}, made.refused)] if ids or made.refused else []
    if shared:
        first = "is migrated first" if options.shared else "must be migrated first: --shared does"
        parts.append(f"the shared database {first}: {some(shared)}")
    if any(pending is None for pending in made.pending.values()):
        parts.append("this framework can't be asked what is pending: every tenant gets the command, unverified.")
    if len(made.batches) > 1:
        canary = tuple(tenant.id for tenant in made.batches[0].tenants)
        parts.append(f"the canary goes first, and a failure there stops the run: {some(canary)}")
    if made.forks > 1:
        parts.append(f"{made.forks} at a time, spread over the hosts.")
    if made.gate:
        parts.append(f"before each tenant this is asked: {printable(made.gate)}")
    about = eta.of(made)
    if about:
        parts.append(f"it would take about {durations.show(about)}, pauses included, as the last runs tell.")
    total = plural(len(made.pending), "tenant")
    parts.append(f"{len(ids)} of {total} would be migrated; {len(made.current)} have nothing pending.")
    return parts


def _table(pending: Mapping[str, tuple[str, ...] | None], refused: Mapping[str, str]) -> str:
    """A row a tenant; where more than a handful have the same to do, a row for all that do, as in `show-migrations`.

    Such rows name everyone of up to fifty, and of more the first few. What drifted stands on top.
    """
    told = [
        *((name, ("", names)) for name, names in pending.items()),
        *((name, (why, None)) for name, why in refused.items()),
    ]
    groups = alike.together(told)
    if len(told) <= _FEW and all(len(names) <= _HANDFUL for _, names in groups):
        each = [(named(name), _pending(*said)) for name, said in told]
        return tables.table(("tenant", "pending"), each, width(), folds=("pending",))
    groups.sort(key=lambda each: (not each[0][0], len(each[1])))
    most = _FEW if len(told) <= _FEW else _HANDFUL
    rows = [(str(len(names)), _spanned(*said), some(names, most)) for said, names in groups]
    return tables.table(("tenants", "pending", "which"), rows, width() or _WIDE, folds=("pending", "which"))


def _pending(refusal: str, pending: tuple[str, ...] | None) -> str:
    return _spanned(refusal, pending) if refusal or pending is None else some(pending) or "nothing"


def _spanned(refusal: str, pending: tuple[str, ...] | None) -> str:
    if refusal:
        return f"refused: {printable(refusal)}"
    return "nobody can say" if pending is None else printable(alike.span(pending))


def _next(environment: model.Environment, options: project.Options, shared: bool) -> str:
    """What was typed, without the flags that made it a plan: nothing more than what the plan shows."""
    named = f"--env={environment.name}"
    if shared and options.tenant_id:
        return f"invoke migrate-all {named} --shared"
    if options.out:
        return f"invoke migrate-all --apply={typed(options.out)}"
    words = [word for word in sys.argv[1:] if word not in ("--plan", "--sql", "--dry", "-R")]
    if options.resume:  # which run a bare one means may be another by then
        words = [f"--resume={options.resume.folder.name}" if word == "--resume" else word for word in words]
    if not any(word == "--env" or word.startswith("--env=") for word in words):
        words.append(named)
    if shared and not options.shared:
        words.append("--shared")
    return f"invoke {' '.join(map(typed, words))}"
