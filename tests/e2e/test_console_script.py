"""The `opskit` program, and a tasks.py of one's own around the same tasks."""

from __future__ import annotations

from e2e import operator
from opskit import __version__

OWN = '''\
import invoke

from opskit.tasks import namespace


@invoke.task
def greet(context):
    """Say hello."""
    print("hello", context.config.opskit.env)


namespace.add_task(greet)
'''
TASKS = [
    "check",
    "continue",
    "init",
    "inventory",
    "migrate-all",
    "migrate-tenant",
    "pause",
    "runs",
    "show-migrations",
    "show-run",
    "show-tenants",
    "status",
    "stop",
    "undo",
    "demo.add-migration",
    "demo.break-tenant",
    "demo.reset",
]


def listed(result: operator.Result) -> list[str]:
    """The names in an answer to --list; descriptions are indented further."""
    rows = [line for line in result.out.splitlines() if line.startswith("  ") and not line.startswith("   ")]
    return [row.split()[0] for row in rows]


def test_the_console_script_says_what_it_is_without_any_inventory(empty):
    (empty.folder / "inventories").rmdir()
    (empty.folder / "tasks.py").unlink()

    help_, version, tasks = (empty.run(flag, program="opskit") for flag in ("--help", "--version", "--list"))

    assert (help_.code, help_.err, version.code, tasks.code) == (0, "", 0, 0)
    assert help_.out.splitlines()[0].startswith("Usage: opskit ")
    assert version.out == f"opskit {__version__}\n"
    assert listed(tasks) == TASKS


def test_every_task_and_every_flag_has_its_sentence(empty):
    """A line of --help without a description is a flag without one."""
    tasks = empty.run("--list")
    helps = [empty.run("--help", name) for name in TASKS[:-3]]

    assert tasks.err == ""
    assert listed(tasks) == TASKS
    for each in helps:
        described = each.out.split("Docstring:\n")[1]
        flags = [line for line in described.splitlines() if line.strip().startswith("-")]
        assert (each.code, "none\n" in each.out.split("Options:")[0]) == (0, False)
        assert [line for line in flags if len(line.split("   ")) < 2] == []


def test_in_a_subfolder_it_works_on_the_folder_with_the_inventories(desk):
    below = desk.app / "deep" / "down"
    below.mkdir(parents=True)

    result = desk.run("migrate-all", program="opskit", cwd=below)

    (run,) = desk.runs
    assert (result.code, desk.migrated) == (0, list(operator.TENANTS))
    assert f"log: {run}/run.log" in result.out
    assert not (below / ".opskit").exists()


def test_its_messages_name_the_program_that_was_typed(desk):
    by_opskit = desk.run("show-run", program="opskit")
    by_invoke = desk.run("show-run")

    assert by_opskit.err == "there are no runs yet. `opskit migrate-all` makes the first.\n"
    assert by_invoke.err == "there are no runs yet. `invoke migrate-all` makes the first.\n"


def test_its_exit_codes_are_those_of_the_tasks(desk):
    desk.project(migrate="sys.exit(1)")

    failed = desk.run("migrate-all", program="opskit")
    mistyped = desk.run("migrate-all", "--stagger=soon", program="opskit")
    unknown = desk.run("migrate-all", "--frmt=json", program="opskit")

    assert (failed.code, mistyped.code, unknown.code) == (5, 2, 1)


def test_a_tasks_py_of_ones_own_has_both_its_tasks_and_ours(desk):
    (desk.folder / "tasks.py").write_text(OWN)
    (desk.folder / "invoke.yaml").write_text("opskit: {env: prod}\n")

    tasks, greeting, tenants = desk.run("--list"), desk.run("greet"), desk.run("show-tenants", "--format=json")

    assert sorted(listed(tasks)) == sorted([*TASKS, "greet"])
    assert greeting == operator.Result(0, "hello prod\n", "")
    assert (tenants.code, tenants.out.count("tenant_id")) == (0, 3)


def test_a_tasks_py_without_a_namespace_variable_can_take_ours_as_a_part(desk):
    (desk.folder / "tasks.py").write_text(
        "import invoke\nfrom opskit import tasks\nns = invoke.Collection(tenants=tasks.namespace)\n"
    )

    assert desk.run("tenants.migrate-all", "--env=prod").code == 0
    assert desk.migrated == list(operator.TENANTS)
