# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The registry of verbs, one row for each verb. bin/idb and make read the registry; scripts/generate writes the verbs' pages and
AWX's job templates from it.

A verb is the playbook of the same name. The playbook's first comment holds the usage and says in full what the verb does. A test
compares the options here with the playbook's variables and the role's argument_specs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ansible_collections.infinite.databases.plugins.module_utils._database.checks import check_boolean
from ansible_collections.infinite.databases.plugins.module_utils._database.keys import NOT_COPIED, OPTIONS


@dataclass(frozen=True)
class Option:
    """A variable of a verb's playbook, and an option of `idb`."""

    name: str
    meaning: str
    default: str = ""
    choices: tuple[str, ...] = ()
    flag: bool = False
    # The environment variable that is read when the option is not given.
    environment: str = ""
    # In words, what is used when the option is not given and has no plain default.
    without: str = ""
    # The reason why AWX's survey does not ask for the option.
    not_asked: str = ""
    # Whether a value can be written as text. `idb` has no option for other values.
    is_text: bool = True
    # Whether the option is a key of a database's description. A key that is not given keeps its value.
    key: bool = False
    unit: str = ""
    # The separator between several values in one text.
    between: str = ""

    @property
    def without_it(self) -> str:
        if self.environment:
            return f"the environment variable `{self.environment}`"
        default = self.default or ("false" if self.flag else "")
        return self.without or (f"`{default}`" if default else "")


@dataclass(frozen=True)
class Awx:
    """The properties of a job template besides its survey."""

    # Options that the playbook does not need, but the job does: a job has no terminal that could be asked.
    needed: tuple[str, ...] = ()
    # Variables that the template sets and its survey does not ask for. A job's output is shown to all who may see the job.
    decided: Mapping[str, bool] = field(default_factory=dict)
    # Whether a server elsewhere may be meant. Its credential is then chosen at launch.
    elsewhere: bool = False
    # Whether the job runs on a schedule, so that nobody watches it.
    scheduled: bool = False


@dataclass(frozen=True)
class Verb:
    meaning: str
    options: tuple[Option, ...] = ()
    # At least one of these options has to be given.
    needs: tuple[str, ...] = ()
    # Whether the verb takes the keys of a database's description.
    keys: bool = False
    # The defaults of keys that differ for this verb.
    key_defaults: Mapping[str, str] = field(default_factory=dict)
    # None means that the verb has no job template.
    awx: Awx | None = Awx()
    # Other words for the verb, which its spelling does not suggest.
    words: tuple[str, ...] = ()
    # The mode of the standard stream that `idb` gives to the verb as its file, if no file is given: w or r.
    stream: str = ""

    @property
    def subject(self) -> str:
        """The option whose value is NAME in `idb VERB NAME`."""
        return next((one.name for one in self.options if one.name in ("db", "pr")), "")

    @property
    def placeholder(self) -> str:
        """The word for the subject in the help text."""
        word = "NAME..." if self.several else {"db": "NAME", "pr": "PR"}.get(self.subject, "")
        return word if self.needs or not word else f"[{word}]"

    @property
    def several(self) -> bool:
        """Whether the verb accepts several databases."""
        return self.subject == "db" and self.needs != ("db",)

    @property
    def all_options(self) -> dict[str, Option]:
        """The verb's own options, and the keys where the verb takes them."""
        described = [
            Option(
                name,
                key.meaning,
                without=self.key_defaults.get(name, key.without_it),
                key=True,
                unit=key.unit,
                flag=key.check is check_boolean,
                between=key.between,
            )
            for name, key in OPTIONS.items()
            if self.keys
        ]
        return {one.name: one for one in (*self.options, *described)}


ON_THE_CONTROLLER = "a path on the controller, which is a container that ends with the job"
DB = Option("db", "The database's name.")
SOME = (
    Option("db", "One name, several with commas between them, or a list."),
    Option("labels", "Instead of names: all databases with these labels; a mapping, or `team=web,tier=dev`.", between=","),
)
OF_ONE = ("db",)
OF_SOME = ("db", "labels")
OUTPUT = Option("output", "Text for people, or JSON.", "text", ("text", "json"))
ROLE = Option("role", "The role whose credentials are meant.", "owner", ("owner", "rw", "ro"))
MASKED = Option("masked", "Show `********` in place of the password, for output that others read.", flag=True)
CONFIRM = Option("confirm", "The environment's name. Without it, the terminal is asked for the name before anything is erased.")
CA_FILE = Option(
    "ca_file",
    "A file with the CA that signed the certificate of the URL's server. Empty for the CAs that this machine trusts.",
    not_asked="comes with the credential of the server elsewhere",
)
WITHOUT_EXTENSIONS = Option("without_extensions", "Extensions of the source that the target does not need.", between=",")


def other(option: str, whose: str, variable: str) -> tuple[Option, Option]:
    """Return the options for a copy's other end: its source or its target."""
    return (
        Option(
            option,
            "The name of another database of this environment, or a URL without a password. "
            f"Empty for the URL in `{option}_file` or the environment variable `{variable}`.",
        ),
        Option(f"{option}_file", f"A file with the {whose}'s URL.", not_asked=ON_THE_CONTROLLER),
    )


VERBS: dict[str, Verb] = {
    "backup": Verb(
        "Back databases up",
        (
            *SOME,
            Option(
                "kind",
                "`full`, `diff` (what changed since the last full backup), `incr` (what changed since the last backup), `wal`: no "
                "backup, but wait until all that was committed is in the repository, or `test`: no backup, but restore the latest "
                "state into a directory that is erased afterwards, and check it.",
                "incr",
                ("full", "diff", "incr", "wal", "test"),
            ),
        ),
        needs=OF_SOME,
        words=("save", "snapshot"),
    ),
    "backups": Verb("Show the backups of databases", (*SOME, OUTPUT)),
    "connect": Verb("psql in a database", (DB, ROLE), needs=OF_ONE, awx=None, words=("psql", "sql", "shell")),
    "destroy": Verb(
        "Destroy databases",
        (*SOME, Option("purge", "Erase data and credentials.", flag=True), CONFIRM),
        needs=OF_SOME,
        words=("delete", "drop", "remove", "rm"),
    ),
    "drift": Verb(
        "Find what differs and put it right",
        (Option("fail_if_differs", "Whether to fail if something differed, or if a database's backups have an alarm.", flag=True),),
        awx=Awx(scheduled=True),
    ),
    "dump": Verb(
        "Write a dump of a database",
        (DB, Option("file", "The file to write. `idb` and `make` write to the standard output without it.")),
        needs=OF_ONE,
        awx=Awx(needed=("file",)),
        words=("pg_dump",),
        stream="w",
    ),
    "env": Verb("Show a database's environment variables", (DB, ROLE, MASKED), needs=OF_ONE, awx=Awx(decided={"masked": True})),
    "expire": Verb("Destroy and erase what is past its time", awx=Awx(scheduled=True)),
    "export": Verb(
        "Export a database",
        (
            DB,
            *other("to", "target", "TARGET_URL"),
            Option("replace", "Drop all that the target has. Without this option, the target must be empty.", flag=True),
            CA_FILE,
            WITHOUT_EXTENSIONS,
        ),
        needs=OF_ONE,
        awx=Awx(elsewhere=True),
    ),
    "import": Verb(
        "Import a database",
        (
            DB,
            *other("from", "source", "SOURCE_URL"),
            Option("replace", "Drop all that the database has. Without this option, the database must be empty.", flag=True),
            CA_FILE,
            WITHOUT_EXTENSIONS,
        ),
        needs=OF_ONE,
        awx=Awx(elsewhere=True),
        words=("copy",),
    ),
    "info": Verb("Show everything about a database", (DB, OUTPUT), needs=OF_ONE, words=("show", "describe", "status")),
    "list": Verb("List the databases", (*SOME, OUTPUT), words=("ls", "ps")),
    "load": Verb(
        "Load a dump into a database",
        (
            DB,
            Option("file", "The file to read. `idb` and `make` read the standard input without it."),
            Option("replace", "Drop all that the database has. Without this option, the database must be empty.", flag=True),
            WITHOUT_EXTENSIONS,
        ),
        needs=OF_ONE,
        awx=Awx(needed=("file",)),
        words=("pg_restore",),
        stream="r",
    ),
    "logs": Verb(
        "Show a database's log",
        (
            DB,
            Option("lines", "How many of the log's last lines to show.", "50"),
            Option("follow", "Then show new lines as they come.", flag=True),
            Option("seconds", "Stop following after so many seconds; 0 means when interrupted.", "0"),
        ),
        needs=OF_ONE,
        words=("tail",),
    ),
    "metrics": Verb(
        "Figures of all databases, for Prometheus",
        (Option("file", "A file for the node exporter's textfile collector. Empty to show them.", not_asked=ON_THE_CONTROLLER),),
    ),
    "preview": Verb(
        "Provision or erase a preview",
        (
            Option(
                "pr",
                "The pull request's number or the branch's name. The database's name is derived from it.",
                environment="PREVIEW_PR",
            ),
            Option("project", "The project, if one environment serves several.", environment="PREVIEW_PROJECT"),
            Option(
                "state",
                "`present` makes the preview or keeps it, `absent` erases all databases that have its label.",
                "present",
                ("present", "absent"),
            ),
            Option("from", "The name or the URL of the database whose data is copied into a new preview."),
            CA_FILE,
            WITHOUT_EXTENSIONS,
        ),
        keys=True,
        key_defaults={"ttl": "`7d`, counted from the last run"},
        awx=Awx(needed=("pr",), elsewhere=True),
    ),
    "provision": Verb(
        "Provision databases",
        (
            Option(
                "databases",
                "The databases to provision, described as `infinite.databases.database_spec` says.",
                not_asked="the inventory's variable: a list of mappings is no answer to a question",
                is_text=False,
            ),
            Option("db", "The database's name, or several with commas between them."),
        ),
        keys=True,
        awx=Awx(needed=("db",)),
        words=("create", "new", "add", "make", "update", "set"),
    ),
    "purge": Verb(
        "Destroy databases and erase them", (*SOME, CONFIRM), needs=OF_SOME, awx=Awx(needed=("confirm",)), words=("erase", "wipe")
    ),
    "recover": Verb(
        "Recover the databases of a lost environment",
        (Option("db", "One name, several with commas between them, or a list.", without="all that are lost"),),
        words=("disaster", "rebuild"),
    ),
    "restart": Verb("Restart databases", SOME, needs=OF_SOME, words=("reboot",)),
    "restore": Verb(
        "Restore a database",
        (
            Option("db", "The new database's name."),
            Option("from", "The database whose backup is restored."),
            Option(
                "at",
                "The moment, such as `2026-11-30 12:00`, `12:00` or `10 minutes ago`; in UTC if no time zone is given.",
                without="now",
            ),
        ),
        needs=OF_ONE,
        keys=True,
        key_defaults={key: "as the source has it" for key in OPTIONS if key not in NOT_COPIED},
        awx=Awx(needed=("db", "from")),
        words=("rewind",),
    ),
    "rotate": Verb(
        "Give databases new passwords",
        (
            *SOME,
            ROLE,
            Option("overlap", "How long the old password works, such as `90m`, `24h` or `7d`.", "24h"),
            Option("end", "End the old password now, and make no new one.", flag=True),
        ),
        needs=OF_SOME,
        words=("password",),
    ),
    "start": Verb("Start databases", SOME, needs=OF_SOME),
    "stop": Verb("Stop databases", SOME, needs=OF_SOME),
    "undestroy": Verb("Bring destroyed databases back", SOME, needs=OF_SOME, words=("undelete", "revive")),
    "url": Verb("Show a database's URL", (DB, ROLE, MASKED), needs=OF_ONE, awx=Awx(decided={"masked": True}), words=("dsn", "uri")),
    "why": Verb("Show why a database is down or slow", (DB, OUTPUT), needs=OF_ONE, words=("diagnose", "doctor", "debug")),
}
