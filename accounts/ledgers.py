"""Tables whose rows are written once: the database itself refuses to change or delete them."""

from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation, OperationCategory

_SQLITE = {
    "update": "BEFORE UPDATE ON {table}",
    "delete": "BEFORE DELETE ON {table}",
    # REPLACE deletes the row that it replaces without asking the trigger above.
    "replace": "BEFORE INSERT ON {table} WHEN EXISTS (SELECT 1 FROM {table} WHERE id = NEW.id)",
}
_POSTGRESQL = {
    "change": "BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW",
    "truncate": "BEFORE TRUNCATE ON {table} FOR EACH STATEMENT",
}


class AppendOnly(Operation):
    """Have the database refuse UPDATE, DELETE and TRUNCATE on a table, with an IntegrityError.

    Its primary key is `id`. On SQLite a later migration that rebuilds the table (most changes of
    columns do) drops the triggers with the old one, so it has to end with this operation again.
    """

    category = OperationCategory.ADDITION
    reduces_to_sql = True
    reversible = True

    def __init__(self, table: str) -> None:
        self.table = table

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        return (type(self).__name__, [self.table], {})

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Leave the models as they are."""

    def database_forwards(
        self, _app_label: str, schema_editor: BaseDatabaseSchemaEditor, _from: Any, _to: Any
    ) -> None:
        self._remove(schema_editor)
        message = f"{self.table} is append-only"
        if schema_editor.connection.vendor == "sqlite":
            for name, when in _SQLITE.items():
                schema_editor.execute(
                    f"CREATE TRIGGER {self._trigger(name)} {when.format(table=self.table)} "
                    f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
                )
            return
        schema_editor.execute(
            f"CREATE FUNCTION {self._function}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation'; "
            "END $$"
        )
        for name, when in _POSTGRESQL.items():
            schema_editor.execute(
                f"CREATE TRIGGER {self._trigger(name)} {when.format(table=self.table)} "
                f"EXECUTE FUNCTION {self._function}()"
            )

    def database_backwards(
        self, _app_label: str, schema_editor: BaseDatabaseSchemaEditor, _from: Any, _to: Any
    ) -> None:
        self._remove(schema_editor)

    def _remove(self, schema_editor: BaseDatabaseSchemaEditor) -> None:
        if schema_editor.connection.vendor == "sqlite":
            for name in _SQLITE:
                schema_editor.execute(f"DROP TRIGGER IF EXISTS {self._trigger(name)}")
            return
        for name in _POSTGRESQL:
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {self._trigger(name)} ON {self.table}")
        schema_editor.execute(f"DROP FUNCTION IF EXISTS {self._function}()")

    def describe(self) -> str:
        return f"Let rows of {self.table} be added only"

    @property
    def migration_name_fragment(self) -> str:
        return f"{self.table}_append_only"

    @property
    def _function(self) -> str:
        return f"{self.table}_refuse_change"

    def _trigger(self, name: str) -> str:
        return f"{self.table}_refuse_{name}"
