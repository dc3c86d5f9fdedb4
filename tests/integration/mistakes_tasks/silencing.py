"""A task module that configures logging as applications do, at import and in a task."""

import logging
import logging.config

from rowlock_jobs.task import Run, task

NAMES = ("silences", "says")


def silence(how: str) -> None:
    match how:
        case "dictConfig":
            logging.config.dictConfig({"version": 1, "root": {"level": "CRITICAL", "handlers": []}})
        case "fileConfig-like":
            for logger in logging.root.manager.loggerDict.values():
                if isinstance(logger, logging.Logger):
                    logger.disabled = True
        case "basicConfig":
            logging.basicConfig(force=True, level=logging.CRITICAL, handlers=[logging.NullHandler()])
        case "disable":
            logging.disable(logging.CRITICAL)
        case "shutdown":
            logging.shutdown()
        case "handlers removed":
            logging.root.handlers.clear()
            logging.getLogger("rowlock.worker").addFilter(lambda _record: False)
            logging.getLogger("rowlock.worker").setLevel(logging.CRITICAL)


silence("dictConfig")


@task("silences")
def silences(run: Run) -> None:
    silence(run.args["how"])


@task("says")
def says(run: Run) -> bool:
    return run.log.isEnabledFor(logging.CRITICAL) and not run.log.logger.disabled
