"""Answers of raters in SQLite: one a rater and question, the first that was given."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from srbench.base.errors import InputError

FILE = "answers.sqlite"
TABLES = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS raters (id TEXT PRIMARY KEY, seed INTEGER NOT NULL, since TEXT DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE IF NOT EXISTS answers (
    rater TEXT NOT NULL REFERENCES raters (id),
    question TEXT NOT NULL,
    choice TEXT NOT NULL,
    at TEXT DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (rater, question)
);
"""


class Answers:
    """The answers of a study. Each call opens the file anew, so that the threads of a server do not share one."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        with self._open() as database:
            database.executescript(TABLES)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(self.path, timeout=10)
        try:
            database.execute("PRAGMA foreign_keys = ON")
            database.execute("PRAGMA synchronous = NORMAL")  # safe against kills in WAL mode, and fast
            with database:
                yield database
        except sqlite3.DatabaseError as error:
            raise InputError(f"{self.path}: cannot be used ({error}). Take it from a copy, or move it away") from error
        finally:
            database.close()

    def new_rater(self) -> str:
        """The id of somebody new, 32 hex digits that nobody guesses."""
        rater = secrets.token_hex(16)
        with self._open() as database:
            database.execute("INSERT INTO raters (id, seed) VALUES (?, ?)", (rater, secrets.randbits(31)))
        return rater

    def seed(self, rater: str) -> int | None:
        """What a rater's order of questions is drawn from; None for one who is not known."""
        with self._open() as database:
            row = database.execute("SELECT seed FROM raters WHERE id = ?", (rater,)).fetchone()
        return int(row[0]) if row else None

    def answered(self, rater: str) -> set[str]:
        """The ids of the questions that a rater has answered."""
        with self._open() as database:
            rows = database.execute("SELECT question FROM answers WHERE rater = ?", (rater,)).fetchall()
        return {row[0] for row in rows}

    def add(self, rater: str, question: str, choice: str) -> None:
        """Keep an answer; a second one to the same question changes nothing."""
        with self._open() as database:
            values = (rater, question, choice)
            database.execute("INSERT OR IGNORE INTO answers (rater, question, choice) VALUES (?, ?, ?)", values)

    def all(self) -> list[tuple[str, str, str]]:
        """Rater, question and choice of every answer, in the order given."""
        with self._open() as database:
            return database.execute("SELECT rater, question, choice FROM answers ORDER BY rowid").fetchall()
