"""What a piece of work cost: CPU seconds of all threads, wall seconds, peak memory."""

import resource
import time


def cpu_seconds():
    """User and system time of this process and of its finished children."""
    usages = (resource.getrusage(who)
              for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def peak_rss_bytes():
    """The most memory this process ever held (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Usage:
    """with Usage() as usage: ... ; then usage.as_dict()."""

    def __enter__(self):
        self.before = peak_rss_bytes()
        self.cpu, self.wall = cpu_seconds(), time.monotonic()
        return self

    def __exit__(self, *exception):
        self.cpu = cpu_seconds() - self.cpu
        self.wall = time.monotonic() - self.wall

    def as_dict(self):
        """The work's own figures and the whole process's, imports and loading included."""
        return {"cpu_seconds": round(self.cpu, 3), "wall_seconds": round(self.wall, 3),
                "process_cpu_seconds": round(cpu_seconds(), 3),
                "rss_before_bytes": self.before, "peak_rss_bytes": peak_rss_bytes()}
