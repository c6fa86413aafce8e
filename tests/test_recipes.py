"""Every recipe of TextAttack's: what it needs, what stops it, equality with TextAttack's own run; the reader's own classes."""

import dataclasses
import json
import os
import subprocess
import sys
import textwrap
from types import SimpleNamespace

import pandas as pd
import pytest

from qrsupport import attack_catalog, config, pipeline
from qrsupport.analysis import outcomes
from qrsupport.attacks import one_example, parts, recipes, tasks, wiring
from qrsupport.data import datasets
from qrsupport.errors import BadParameter, CannotRun, MissingResource, NoNetwork, UnknownName
from qrsupport.lexicons import resources, tagging
from qrsupport.recorded import Folder
from qrsupport.records import Status

from textattack import Attack, attack_recipes  # isort: skip
from textattack.attack_recipes import AttackRecipe  # isort: skip
from textattack.constraints.overlap import MaxWordsPerturbed  # isort: skip
from textattack.goal_functions import UntargetedClassification  # isort: skip
from textattack.search_methods import GreedySearch  # isort: skip
from textattack.shared import AttackedText  # isort: skip
from textattack.transformations import WordSwapChangeName, WordSwapQWERTY, WordSwapWordNet  # isort: skip

EMBEDDED = [name for name in attack_catalog.ATTACKS if "embedded" in attack_catalog.suppliers(name)]
NEW = [name for name in EMBEDDED if name not in ("textfooler", "pwws", "pso", "deepwordbug")]
STOPPED = [name for name in attack_catalog.ATTACKS if name not in EMBEDDED]
MASKED = ("bae", "bert-attack", "clare")
LEFT_OUT = {"ChineseRecipe", "FrenchRecipe", "SpanishRecipe", "Seq2SickCheng2018BlackBox", "MorpheusTan2020"}


@pytest.fixture(scope="module")
def p(tiny):
    return dataclasses.replace(tiny, n=3)


def task(p, variant="fp32", recipe=None):
    return tasks.Task(p, variant, pipeline.variant(p, variant), "", recipe)


def examples(p, n):
    split = datasets.load(p).eval_split()
    return [
        tasks.Example(k, split.ids[i], split.texts[i], split.labels[i]) for k, i in enumerate(datasets.sample(split, n, 0))
    ]


def outcome(record):
    assert record.status is not Status.error, record.note
    return record.status, record.perturbed, record.queries, record.words_changed, record.probabilities_after, record.note


# what there is --------------------------------------------------------------------------------------------------------


def test_every_recipe_for_english_classifiers_has_a_name():
    shipped = {k for k, v in vars(attack_recipes).items() if isinstance(v, type) and issubclass(v, AttackRecipe)}
    assert {entry.recipe for entry in attack_catalog.ATTACKS.values()} - set(wiring.OWN) == shipped - LEFT_OUT - {"AttackRecipe"}


@pytest.mark.parametrize(("threshold", "least"), [(None, 0.98), (0.8, 0.809)])
def test_strict_is_textfooler_with_another_sentence_constraint(threshold, least):
    words = resources.load("embedded", attack="textfooler")
    encoder = SimpleNamespace(threshold=threshold, encode=words.encoder.encode)
    find = lambda part: encoder if part == "encoder" else words.part(part)  # noqa: E731
    usual, strict = (
        wiring.build_recipe(wiring.RECIPES[name], find, wiring.Wrapper(recipes.Blank())) for name in ("textfooler", "textfooler-strict")
    )
    (loose,), (tight,) = ([c for c in built.constraints if isinstance(c, wiring.Encoded)] for built in (usual, strict))
    assert tight.threshold == pytest.approx(least, abs=1e-3) and tight.metric == "cosine" and tight.window_size == 15
    assert loose.skip_text_shorter_than_window and not tight.skip_text_shorter_than_window
    for part in ("search_method", "transformation", "goal_function"):
        assert repr(getattr(usual, part)) == repr(getattr(strict, part))
    others = [[repr(c) for c in (*built.pre_transformation_constraints, *built.constraints) if c not in (loose, tight)] for built in (usual, strict)]
    assert others[0] == others[1] and len(others[0]) == 5


@pytest.mark.parametrize("name", EMBEDDED)
def test_the_parts_declared_are_those_that_the_recipe_asks_for(name):
    words, asked = resources.load("embedded", attack=name), set()

    def find(part):
        asked.add(part)
        return words.part(part)

    wiring.build_recipe(wiring.RECIPES[name], find, wiring.Wrapper(recipes.Blank()))
    assert asked == set(attack_catalog.ATTACKS[name].parts)


@pytest.mark.parametrize("name", STOPPED)
def test_what_cannot_run_says_why_and_what_can_before_any_work(name, tmp_path):
    p = config.make(attack=name, run_dir=str(tmp_path))
    with pytest.raises((CannotRun, MissingResource), match=rf"^{name}.*attack='{attack_catalog.instead(name, 'embedded')}'"):
        pipeline.attack(p, progress=False)
    assert not list(tmp_path.iterdir())
    line = attack_catalog.described(name)
    assert "CANNOT RUN HERE: " in line or "not with the embedded resources" in line


def test_a_class_of_the_catalogue_is_stopped_as_its_name_is(tmp_path):
    with pytest.raises(CannotRun, match="hotflip.*gradients"):
        pipeline.attack(config.make(run_dir=str(tmp_path)), progress=False, recipe=attack_recipes.HotFlipEbrahimi2017)


def test_an_unknown_recipe_gives_the_nearest_name():
    with pytest.raises(UnknownName, match="did you mean 'textbugger'"):
        config.make(attack="textbuger")


def test_a_goal_without_another_label_takes_no_margin(tmp_path):
    p = config.make(attack="input-reduction", margin=0.1, run_dir=str(tmp_path))
    with pytest.raises(BadParameter, match="input-reduction seeks fewest words"):
        pipeline.attack(p, progress=False)
    assert not list(tmp_path.iterdir())


# equality with TextAttack's own run -----------------------------------------------------------------------------------


def compared(p, n, variant="fp32"):
    stock, ours = one_example.Searcher(task(p, variant), stock=True), one_example.Searcher(task(p, variant))
    seen = []
    for example in examples(p, n):
        a, b = stock(example), ours(example)
        assert outcome(a) == outcome(b) and b.evaluations <= b.queries and b.engine == "qrsupport"
        seen.append(b)
    return seen


@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize("variant", ["fp32", "int8-dynamic"])
def test_outcomes_are_those_of_textattack(p, name, variant):
    seen = compared(dataclasses.replace(p, attack=name), 60 if name == "checklist" else 5, variant)  # which names few texts
    assert any(r.queries > 1 for r in seen)
    changed = [r for r in seen if r.perturbed != r.text]
    assert changed or name == "checklist"  # the generated reviews name nobody
    if name == "input-reduction":  # shorter, and never a success
        assert all(r.status is Status.failed and len(r.perturbed) < len(r.text) for r in changed)


@pytest.mark.parametrize("name", NEW)
@pytest.mark.parametrize("text", ["", "!!", "good", "👍👍", "naïve\x00text", "电影 很 好", "\ud800 bad", "word " * 300])
def test_any_text_has_a_defined_status(p, name, text):
    searcher = one_example.Searcher(task(dataclasses.replace(p, attack=name, query_budget=30)))
    for label in (0, 1):
        record = searcher(tasks.Example(0, "x", text, label))
        assert record.status in (Status.succeeded, Status.failed, Status.skipped), record.note


@pytest.fixture(scope="module")
def masked(tiny, tmp_path_factory):
    """`embedded` words beside a masked language model of random weights over the embedded vocabulary."""
    import torch
    import transformers as hf


    tokenizer = hf.AutoTokenizer.from_pretrained(pipeline.checkpoint(tiny))
    torch.manual_seed(0)
    settings = hf.BertConfig(vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                             intermediate_size=32, max_position_embeddings=512)  # fmt: skip
    words = resources.load("embedded")
    return dataclasses.replace(words, masked_lm=(hf.BertForMaskedLM(settings).eval(), tokenizer))


@pytest.mark.parametrize("name", MASKED)
@pytest.mark.slow
def test_masked_language_models_give_textattacks_outcomes(p, masked, monkeypatch, name):
    monkeypatch.setattr(tasks, "supply", lambda p, recipe=None: masked)
    seen = compared(dataclasses.replace(p, attack=name, query_budget=40), 8)
    assert any(r.queries > 1 for r in seen)


def test_clare_replaces_inserts_and_merges_by_the_set_s_model(masked):
    built = wiring.build("clare", masked, wiring.Wrapper(recipes.Blank()))
    kinds = built.transformation.transformations
    assert [type(k).__name__ for k in kinds] == ["WordSwapMaskedLM", "WordInsertionMaskedLM", "Merge"]
    assert all(k._language_model is masked.masked_lm[0] for k in kinds)
    text = AttackedText("a good plot and a good film")
    kinds[2].min_confidence = 0.0  # random weights are sure of nothing
    merged = kinds[2](text)
    assert merged and {t.num_words for t in merged} == {text.num_words - 1}


def test_kuleshov_asks_gpt_2_and_word_vectors():
    import torch
    import transformers as hf

    class Vectors:
        def __init__(self, lists):
            self.lists = lists

        def __getattr__(self, name):
            return getattr(self.lists, name)

        def vector(self, word):
            return [1.0, float(len(word))]

    torch.manual_seed(0)
    model = hf.GPT2LMHeadModel(hf.GPT2Config(vocab_size=10, n_positions=16, n_embd=8, n_layer=1, n_head=1))
    words = resources.load("embedded")
    words = dataclasses.replace(words, vectors=Vectors(words.neighbours), language_model=(model, "tokenizer"))
    built = wiring.build("kuleshov", words, wiring.Wrapper(recipes.Blank()))
    fluent = next(c for c in built.constraints if isinstance(c, parts.Fluent))
    assert fluent.model is model and fluent.max_log_prob_diff == 2.0
    thought = next(c for c in built.constraints if type(c).__name__ == "ThoughtVector")
    assert thought.encode(["to be", "was"]).tolist() == [[1.0, 2.0], [1.0, 3.0]] and thought.threshold == -0.2


# the parts that are new -----------------------------------------------------------------------------------------------


def test_names_of_persons_and_places_are_found_by_lists():
    tag = tagging.Entities(["Mary", "Jordan"], ["Smith"], ["Jordan", "New York", "York"])
    said = [label.value for label in tag("Mary Smith and mary met Mary in New York or York not new york".split())]
    assert said == ["B-PER", "E-PER", "O", "O", "O", "S-PER", "O", "B-LOC", "E-LOC", "O", "S-LOC", "O", "O", "O"]
    assert tag([]) == [] and [label.value for label in tag(["Jordan"])] == ["S-LOC"]


def test_checklist_changes_names_places_numbers_and_contractions():
    built = wiring.build("checklist", resources.load("embedded", attack="checklist"), wiring.Wrapper(recipes.Blank()))
    text = AttackedText("Michael Smith is not from France and I have 3 films")
    found = [t.words for t in built.transformation(text)]
    changed = {tuple(i for i, (a, b) in enumerate(zip(words, text.words)) if a != b) for words in found
               if len(words) == len(text.words)}  # fmt: skip
    assert {(0,), (1,), (5,), (9,)} <= changed
    assert any("isn't" in words for words in found)


def test_listed_words_lie_within_the_distance_that_genetic_attacks_allow():
    from qrsupport.lexicons import thesaurus

    near = thesaurus.Neighbours({"good": ["fine"]}, thesaurus.BOUND)
    assert near.distance("good", "fine") == pytest.approx(0.49) and near.distance("good", "good") == 0
    assert near.distance("good", "bad") > 0.5


def test_a_threshold_is_never_raised_above_the_recipes():
    class Strict:
        threshold = 0.9

    assert wiring.Encoded(Strict(), threshold=0.2, metric="cosine").threshold == 0.2
    assert wiring.Encoded(Strict(), threshold=0.95).threshold == 0.9


# the reader's own classes ---------------------------------------------------------------------------------------------

OWN = """
    from textattack import Attack
    from textattack.attack_recipes import AttackRecipe
    from textattack.goal_functions import UntargetedClassification
    from textattack.search_methods import GreedyWordSwapWIR

    import textattack.transformations as made

    class Mine(AttackRecipe):
        @staticmethod
        def build(model_wrapper):
            goal = UntargetedClassification(model_wrapper)
            return Attack(goal, [], made.{swap}(), GreedyWordSwapWIR())

    class Other:
        pass
"""


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes a module with a recipe `Mine` that swaps by the class named."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(module, swap):
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(OWN).format(swap=swap))
        sys.modules.pop(module, None)
        return f"{module}:Mine"

    yield write
    for name in ("mine_a", "mine_b"):
        sys.modules.pop(name, None)


def attacked(p):
    """The folder of records of an attack that was run."""
    pipeline.attack(p, progress=False)
    return pipeline.attack_folder(p).path


def test_two_classes_of_one_name_share_nothing_and_an_edited_one_is_run_again(p, written):
    a, b = written("mine_a", "WordSwapWordNet"), written("mine_b", "WordSwapQWERTY")
    folders = [attacked(dataclasses.replace(p, attack=path)) for path in (a, b)]
    assert len(set(folders)) == 2 and ":" not in folders[0].name
    assert [{r.attack for r in Folder(f).load()} for f in folders] == [{a}, {b}]
    assert recipes.find(a).__name__ == recipes.find(b).__name__ == "Mine"
    assert pipeline.attack_folder(p, recipe=recipes.find(a)).path == folders[0]
    assert pipeline.attack(p, progress=False, recipe=recipes.find(a)) == Folder(folders[0]).load()
    q = dataclasses.replace(p, attack=a)
    replayed = pipeline.replay(q, "fp32", "fp32"), pipeline.replay_folder(q, "fp32", "fp32").path
    written("mine_a", "WordSwapEmbedding")
    edited = dataclasses.replace(p, attack=a)
    again = attacked(edited)
    assert again not in folders and Folder(again).load()
    assert pipeline.replay(edited, "fp32", "fp32") and pipeline.replay_folder(edited, "fp32", "fp32").path != replayed[1]


def test_what_an_own_class_draws_on_is_part_of_its_identity(p, written):
    path = written("mine_a", "WordSwapWordNet")
    assert set(recipes.supply(p, recipes.find(path)).parts) == {"substitutes", "encoder"}


@pytest.mark.slow
def test_a_worker_imports_an_own_class(p, written, tmp_path):
    q = dataclasses.replace(p, attack=written("mine_a", "WordSwapWordNet"), attack_seed=3)
    one = attacked(q)
    room = tmp_path / "runs"
    room.mkdir()
    for kind in ("checkpoints", "variants"):  # the same artefacts; only the records are made anew
        os.symlink(config.run_dir(p) / kind, room / kind)
    two = attacked(dataclasses.replace(q, workers=2, run_dir=str(room)))
    found = [[dataclasses.replace(r, timing={}) for r in Folder(path).load()] for path in (one, two)]
    assert found[0] == found[1] and len(found[0]) == p.n and two.name == one.name


@pytest.mark.slow
def test_the_command_line_takes_an_import_path(p, written, tmp_path):
    path = written("mine_a", "WordSwapWordNet")
    few = {name: getattr(p, name) for name in ("backbone", "train_limit", "epochs", "n", "run_dir")}
    given = [word for name, value in few.items() for word in ("-p", name, str(value))]
    env = os.environ | {"PYTHONPATH": os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))}
    command = [sys.executable, "-m", "qrsupport", "run", "attack", "-p", "attack", path, *given]
    done = subprocess.run([*command, "--out", str(tmp_path / "out.ipynb")], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "mine_a:Mine" in (tmp_path / "out.ipynb").read_text()


@pytest.mark.parametrize(
    ("path", "error", "said"),
    [
        ("no_such_module_here:Mine", BadParameter, "cannot be imported.*PYTHONPATH"),
        ("mine_a:Mien", UnknownName, "did you mean 'Mine'"),
        ("mine_a:Other", BadParameter, "no subclass"),
    ],
)
def test_a_path_that_leads_nowhere_is_named_before_any_work(written, tmp_path, path, error, said):
    written("mine_a", "WordSwapQWERTY")
    with pytest.raises(error, match=said):
        pipeline.attack(config.make(attack=path, run_dir=str(tmp_path / "runs")), progress=False)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("path", ["a:b:c", "a b:c", ":Mine", "mine:", "os.path;x:y", "../x:y"])
def test_a_malformed_path_is_refused(path):
    with pytest.raises(BadParameter, match="package.module:Class"):
        config.make(attack=path)


def test_a_class_without_a_module_needs_one_process(p):
    class Local(AttackRecipe):
        @staticmethod
        def build(model_wrapper):
            return Attack(UntargetedClassification(model_wrapper), [], WordSwapQWERTY(), GreedySearch())

    with pytest.raises(BadParameter, match="workers=2.*Local"):
        pipeline.attack(dataclasses.replace(p, workers=2), progress=False, recipe=Local)


@pytest.mark.parametrize("name", ["textfooler", "pwws"])
def test_a_greedy_attack_wins_under_a_limit_of_words_what_it_wins_within_it(p, name):
    class Limited(wiring.RECIPES[name]):
        @staticmethod
        def build(model_wrapper):
            plain = wiring.RECIPES[name].build(model_wrapper)
            limits = [*plain.constraints, *plain.pre_transformation_constraints, MaxWordsPerturbed(max_percent=0.1)]
            return Attack(plain.goal_function, limits, plain.transformation, plain.search_method)

    q = dataclasses.replace(p, n=40, workers=1)
    limited, plain = pipeline.attack(q, progress=False, recipe=Limited), pipeline.attack(dataclasses.replace(q, attack=name), progress=False)
    rows = pd.DataFrame(
        [config.identity(q, "fp32") | {"kind": "direct", "variant": "fp32", "target": None, "attack": name}
         | {key: getattr(q, key) for key in config.AIM} | {key: getattr(r, key) for key in ("example", "label", "words", "words_changed")}
         | {"status": r.status.value} for r in plain]
    )  # fmt: skip
    found = outcomes.direct(rows, 0.1).set_index("example")["right"]
    assert found.to_dict() == {r.example: r.status is Status.failed for r in limited}
    assert 0 < outcomes.direct(rows)["right"].sum() < found.sum() < len(found)  # some attacks need more words than these


def test_a_digest_without_source_is_that_of_the_code():
    def made(body):
        room = {"AttackRecipe": AttackRecipe, "__name__": "nowhere_at_all"}
        exec(f"class Mine(AttackRecipe):\n def build(m):\n  def inner(): return {body}\n  return inner", room)
        return room["Mine"]

    first, same, other = made("1"), made("1"), made("2")
    assert recipes.digest(first) == recipes.digest(same) != recipes.digest(other)


class English(AttackRecipe):
    """Names the classes that load data by another way than the recipes of TextAttack do, and one in French."""

    @staticmethod
    def build(model_wrapper):
        goal = UntargetedClassification(model_wrapper)
        return Attack(goal, [], WordSwapChangeName(language="french"), GreedySearch())


class Gradients(AttackRecipe):
    @staticmethod
    def build(model_wrapper):
        from textattack.search_methods import GreedyWordSwapWIR

        return Attack(UntargetedClassification(model_wrapper), [], WordSwapWordNet(), GreedyWordSwapWIR("gradient"))


class Broken(AttackRecipe):
    @staticmethod
    def build(model_wrapper):
        raise KeyError("by hand")


class Nothing(AttackRecipe):
    @staticmethod
    def build(model_wrapper):
        return model_wrapper


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (English, "English text only"),
        (Gradients, "gradients"),
        (Broken, "KeyError.*by hand"),
        (Nothing, "gives Wrapper"),
        (attack_recipes.MorpheusTan2020, "MinimizeBleu"),
        (attack_recipes.FrenchRecipe, "FrenchRecipe"),
    ],
)
def test_an_own_class_that_cannot_run_says_so_before_any_work(tmp_path, recipe, said):
    with pytest.raises(CannotRun, match=said):
        pipeline.attack(config.make(run_dir=str(tmp_path)), progress=False, recipe=recipe)
    assert not list(tmp_path.iterdir())


# the network ----------------------------------------------------------------------------------------------------------


class Reaching(AttackRecipe):
    """Fetches a word list when built."""

    @staticmethod
    def build(model_wrapper):
        import urllib.request

        urllib.request.urlopen("http://example.org/words", timeout=5)


class Later(AttackRecipe):
    """Asks an address when it changes a word."""

    @staticmethod
    def build(model_wrapper):
        class Swap(WordSwapQWERTY):
            def _get_replacement_words(self, word):
                import socket

                socket.create_connection(("192.0.2.1", 80), timeout=5)
                return ["word"]

        return Attack(UntargetedClassification(model_wrapper), [], Swap(), GreedySearch())


def test_an_own_class_that_reaches_for_the_network_is_stopped(p, tmp_path):
    with pytest.raises(NoNetwork, match="example.org.*network=False"):
        pipeline.attack(config.make(run_dir=str(tmp_path)), progress=False, recipe=Reaching)
    assert not list(tmp_path.iterdir())
    found = [one_example.Searcher(task(p, recipe=Later))(e) for e in examples(p, 8)]
    assert any(r.status is Status.error and "NoNetwork: 192.0.2.1" in r.note for r in found)


REFUSED = """
import json, socket, sys

asked = []

def refuse(*args, **kwargs):
    asked.append(str(args[-1]))
    raise OSError(101, "refused by the test")

socket.socket.connect = socket.socket.connect_ex = socket.create_connection = socket.getaddrinfo = refuse
from qrsupport import config; from qrsupport.attacks import recipes, tasks, wiring as attacks
from qrsupport.errors import QRError

shipped = [v for v in vars(attacks.attack_recipes).values() if recipes.is_recipe(v)] + [*attacks.OWN.values()]
said = {}
for source in ("embedded", "local"):
    for recipe in shipped:
        p, own = tasks.settled(config.make(resources=source), recipe)
        try:
            words = tasks.supply(p, own)
            built = attacks.build_recipe(recipe, words.part, attacks.Wrapper(recipes.Blank()), 40)
            built.attack("a wonderful story of Mary Smith in France, and it is not bad at all", 0)
            said[f"{source} {p.attack}"] = ""
        except QRError as e:
            said[f"{source} {p.attack}"] = type(e).__name__
print(json.dumps([asked, said]))
"""


@pytest.mark.slow
def test_no_recipe_opens_a_socket(tmp_path):
    env = os.environ | {"HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", REFUSED], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    asked, said = json.loads(done.stdout.splitlines()[-1])
    assert asked == []
    ran = {name for name, error in said.items() if not error}
    assert {f"embedded {name}" for name in EMBEDDED} <= ran
    assert set(said.values()) <= {"", "CannotRun", "MissingResource", "NoNetwork", "BadParameter"}
    if os.environ.get("QRSUPPORT_DATA"):
        assert {f"local {name}" for name in EMBEDDED} <= ran
