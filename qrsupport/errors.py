"""Every error the package raises by name.

Each class says in its docstring when it is raised, what it means and what to do; the book's page of
flags is made from these docstrings (`flags.page`).  Messages carry the offending value.  Nothing
here imports anything of ours.
"""

from difflib import get_close_matches


class QRError(Exception):
    """Raised if: never itself; every error of the package is one of the classes below.

    What it means: something is wrong that the package knows how to name; anything else is a fault of the package.

    What to do: catch this class to catch them all.
    """


class UnknownName(QRError):
    """Raised if: a dataset, backbone, variant, attack, resource set, profile or parameter is not known.

    What it means: a misspelling, most likely; no work was done.

    What to do: take the name suggested, or run `qrsupport list`.
    """

    def __init__(self, kind: str, name: object, valid):
        valid = sorted(map(str, valid))
        near = get_close_matches(str(name), valid, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else "choose one of: " + ", ".join(valid)
        super().__init__(f"unknown {kind} {name!r}; {hint}")


class BadParameter(QRError):
    """Raised if: a parameter has the wrong type or lies outside its range, or two parameters contradict each other.

    What it means: the value cannot be what was meant; no work was done.

    What to do: change the value named; the message gives the range.
    """


class BadData(QRError):
    """Raised if: a data file is empty, malformed or has a label outside the class set; the message names file and line.

    What it means: the file is not what was published, or an own file is not in that format; nothing was made from it.

    What to do: restore the published file, or mend the line named.
    """


class MissingResource(QRError):
    """Raised if: a file that an attack, a dataset or a backbone needs is not at hand.

    What it means: what was asked for cannot be done on this machine as it is; no work was done.

    What to do: the message names the file, where it was looked for and how to get it; `qrsupport doctor` lists all.
    """


class NoNetwork(QRError):
    """Raised if: something has to be fetched and the network was not asked for (`network=True`) or cannot be reached.

    What it means: the package fetches nothing unless told to, and what it would fetch is not on this machine.

    What to do: set `network` to true, or point `QRSUPPORT_DATA` at a directory that holds the data.
    """


class BadCheckpoint(QRError):
    """Raised if: a checkpoint or an executable variant cannot be used: wrong number of labels, missing files, a pickle.

    What it means: the file is no classifier for this data set, or not one that can be read without running code from it.

    What to do: name another backbone, or delete the folder named so that it is made again.
    """


class CannotRun(QRError):
    """Raised if: a variant needs an export, a kernel or a GPU that this backbone or this machine does not have, a queue does not answer, or the machine ended the process that leads the workers.

    What it means: another classifier under the same name would be no answer to the question, so none was made; what was done before is kept.

    What to do: what the message says: take the nearest variant that can run, another backbone or machine, or fewer workers.
    """


class DependentAnswers(QRError):
    """Raised if: a classifier's answer to a text of the sample that every run asks again alone is not the one it got first.

    What it means: on this machine an answer depends on the texts asked with it, or is not reproducible; the run stopped.

    What to do: delete the records of this run, set the environment variable `QRSUPPORT_ALONE=1`, run again; please report the message.
    """


class StaleArtefact(QRError):
    """Raised if: a stored file that is to be read was altered or is truncated, or two runs were put together under one name.

    What it means: using it would put numbers under a name that they do not belong to; it was left as it is.

    What to do: restore the file named, or run again what makes it: that makes it anew by itself, with a line that says
    why, and sets altered records aside. Runs with other parameters are told apart by `runs.load`.
    """


class StorageError(QRError):
    """Raised if: a file cannot be written: disk full, or a directory that may not be written to.

    What it means: the step that wrote is lost and nothing else; a file is either its old self or its new one.

    What to do: free space, or choose another `run_dir`; what was there before is intact.
    """


class NoRecords(QRError):
    """Raised if: a table or figure is asked for and the run directory holds no records for it.

    What it means: there is nothing to count yet; a table of nothing would look like a result.

    What to do: run the attack chapter first, or `make book`; the message names the directory.
    """


class AttackFailures(QRError):
    """Raised if: a run of attacks ended and some examples raised an error; their records name it.

    What it means: the other examples are done and recorded; measures leave out those that raised an error.

    What to do: read the `note` of the records with status `error`; rerunning tries these examples again.
    """


class BelowFloor(QRError):
    """Raised if: a checkpoint of the study is less accurate on the validation split than its plan demands.

    What it means: a result of it would be one of a classifier that nobody uses; the unit stopped before any attack.

    What to do: change the epochs or the learning rate of the model in the plan, by the validation split alone; run again.
    """


class StudyIncomplete(QRError):
    """Raised if: units of the study's plan stopped on an error, or the published files hold less than the plan.

    What it means: what is there is sound, and a verdict from it would be one on a part of the plan.

    What to do: mend what the message names and run `qrsupport study run` again, then `qrsupport study export`.
    """


class BadChapter(QRError):
    """Raised if: a notebook under nbs cannot be a chapter: two of one name, or not one cell of declared parameters.

    What it means: what the chapter takes cannot be told from its notebook; no work was done.

    What to do: mend the notebook that the message names, as the page *How to add* shows.
    """


class ChapterFailed(QRError):
    """Raised if: a chapter or the building of the book stopped on an error that is not one of the above.

    What it means: a fault of a chapter or of the package, or too little memory; no half-written chapter was left.

    What to do: read the traceback in the message; rerunning goes on from what is already in the run directory.
    """
