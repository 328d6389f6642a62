"""One line a check, a closing count, an exit status."""


class Report:
    """Counts checks and prints each as it is made."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def check(self, name, holds, numbers=""):
        """A check that was made."""
        if holds:
            self.passed += 1
        else:
            self.failed += 1
        self._line("ok" if holds else "FAIL", name, numbers)

    def skip(self, name, reason):
        """A check that could not be made: never counted as passed."""
        self.skipped += 1
        self._line("skipped", name, reason)

    def close(self):
        """The closing line; returns the exit status."""
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped", flush=True)
        return 1 if self.failed or not self.passed else 0

    @staticmethod
    def _line(word, name, numbers):
        print(f"{word:8}{name:58} {numbers}".rstrip(), flush=True)
