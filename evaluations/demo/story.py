"""What the demo evaluates: prompts that so small a model can follow, their sets, and what its people say."""

from collections.abc import Mapping, Sequence
from typing import Any

from evaluations.local_model import MODEL, STAGED

SHORT, TIPS, SWAPPED = "shop/short-answers", "shop/care-tips", "staged/swapped-model"
LOCAL, STAND_IN = "Demo: the local model", "Staged: its backend is swapped"
EVERYDAY, FEW, STAGED_SET = "Everyday questions", "Four questions", "Staged: everyday questions"


def _chat(order: str, examples: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """So small a model obeys examples better than orders."""
    turns = [
        {"role": role, "content": text}
        for pair in examples
        for role, text in zip(("user", "assistant"), pair, strict=True)
    ]
    return [{"role": "system", "content": order}, *turns, {"role": "user", "content": "{{question}}"}]


_ANSWER, _TIP = "You answer customers of a homeware shop in", "You give customers of a homeware shop one short tip"
_ANSWERED = (
    ("Do you sell candles?", "Yes, we sell beeswax candles."),
    ("Is there parking?", "Yes, you can park behind the shop."),
    ("Do you close at noon?", "No, we are open all day."),
)
_PRAISED = tuple((question, f"What a great question! {answer}") for question, answer in _ANSWERED)
_TIPS = (
    ("How do I clean a rug?", "Shake it outside, then brush it along the pile."),
    ("How do I wash a wool blanket?", "Wash it by hand in cold water, and dry it flat."),
    ("How do I keep brass bright?", "Rub it with a soft cloth once a month."),
)
_QUESTION = [
    {
        "name": "question",
        "type": "string",
        "required": True,
        "description": "What the customer typed, one question at a time.",
        "max_length": 500,
    }
]

# Prompt -> type, description, and its versions: message and content. The first goes live at once.
PROMPTS: Mapping[str, dict[str, Any]] = {
    SHORT: {
        "description": "One sentence for the shop’s chat, written for the small local model",
        "tags": ["customer-facing"],
        "variables": _QUESTION,
        "versions": [
            ("Short answers, by three examples", _chat(f"{_ANSWER} one short sentence.", _ANSWERED)),
            ("Say “single”: two sentences slipped through", _chat(f"{_ANSWER} a single short sentence.", _ANSWERED)),
            (
                "Friendlier: praise the question first",
                _chat(f"{_ANSWER} one short sentence, and praise their question first.", _PRAISED),
            ),
        ],
    },
    TIPS: {
        "description": "One tip on caring for goods, written for the small local model",
        "tags": ["customer-facing"],
        "variables": _QUESTION,
        "versions": [
            ("Tips, by three examples", _chat(f"{_TIP}.", _TIPS)),
            ("A tip that can be followed at once", _chat(f"{_TIP} that they can follow at once.", _TIPS)),
        ],
    },
    SWAPPED: {
        "description": "Staged: its model is swapped on purpose, to show an alarm of drift",
        "tags": ["staged"],
        "variables": _QUESTION,
        "versions": [
            (
                "A copy of shop/short-answers, to stage an alarm with",
                _chat(f"{_ANSWER} one short sentence.", _ANSWERED),
            ),
        ],
    },
}

_ENGLISH = {"type": "language", "value": "en", "name": "English"}
_NO_PRAISE = {"type": "tone", "value": {"feature": "praise", "max": 0}, "name": "No praise of the question"}
_EVERYDAY = (
    "Do you sell lamps?", "When do you open?", "Do you have gift cards?", "Can I return a vase?",
    "Do you deliver to my home?", "Can I pay with a card?", "Are the plates safe in an oven?", "Do you open on Sunday?",
)  # fmt: skip


def _asked(questions: Sequence[str]) -> list[dict[str, Any]]:
    return [{"key": question, "variables": {"question": question}} for question in questions]


def _at_most(words: int) -> dict[str, Any]:
    return {"type": "word-count", "value": {"min": 1, "max": words}, "name": f"At most {words} words"}


# Name -> prompt, description, criteria, cases. The last three are there to be run with a model of one's own.
SETS: Mapping[str, dict[str, Any]] = {
    EVERYDAY: {
        "prompt": SHORT,
        "description": "What customers ask most. Every version has to pass it before it goes to stable.",
        "criteria": [_ENGLISH, _NO_PRAISE, _at_most(25)],
        "cases": _asked(_EVERYDAY),
    },
    FEW: {
        "prompt": TIPS,
        "description": "Too few to be sure: a run with four cases and five repeats can say that it does not know.",
        "criteria": [_ENGLISH, _at_most(40)],
        "cases": _asked(
            (
                "How do I clean a lamp?",
                "How do I wash a tablecloth?",
                "How do I care for oak?",
                "How do I store candles?",
            )
        ),
    },
    STAGED_SET: {
        "prompt": SWAPPED,
        "description": "Staged, for the alarm of drift: the backend of its connection is swapped on purpose.",
        "criteria": [_ENGLISH, _at_most(25)],
        "cases": _asked(_EVERYDAY[:6]),
    },
    "Urgent or not": {
        "prompt": "support/triage",
        "description": "Run it with a model of your own: for the local one it is too hard.",
        "criteria": [],
        "cases": [
            {"key": key, "variables": {"message": message}, "criteria": [{"type": "icontains", "value": value}]}
            for key, message, value in (
                ("broken vase", "The vase came in four pieces, I want my money back.", "refund"),
                ("smoke", "The lamp smokes when I switch it on. What should I do?", "safety"),
                ("late parcel", "Where is my parcel? It was due yesterday.", "order"),
                ("stock", "Is the oak table there in 160 cm?", "product"),
                ("newsletter", "WHY is your newsletter still coming???", "account"),
            )
        ],
    },
    "Five lines": {
        "prompt": "docs/summariser",
        "description": "Run it with a model of your own: for the local one it is too hard.",
        "criteria": [
            {"type": "contains-all", "value": ["Customer:", "Wants:", "Done:", "Promised:", "Next:"]},
            {"type": "no-pii", "value": ["card number"]},
        ],
        "cases": [
            {
                "key": "broken lamp",
                "variables": {"ticket": "1 March, Ada: The lamp broke.\n2 March, we: A new one leaves on Friday."},
            },
            {
                "key": "two promises",
                "variables": {"ticket": "1 May, we: Refund by Friday.\n3 May, we: By Monday.\n4 May, Ben: Which?"},
            },
        ],
    },
    "Money back": {
        "prompt": "support/refund-answer",
        "description": "Run it with a model of your own: for the local one it is too hard.",
        "criteria": [
            {"type": "language", "value": "en"},
            {"type": "icontains-any", "value": ["unfortunately", "kindly", "valued"], "not": True},
            {"type": "no-pii", "value": ["card number"]},
        ],
        "cases": [
            {
                "key": "in time",
                "variables": {"customer_message": "I would like to return the rug that came on Monday."},
            },
            {
                "key": "too late",
                "variables": {"customer_message": "I bought a lamp in spring and want my money back now."},
            },
        ],
    },
}

# Name -> model and parameters.
CONNECTIONS: Mapping[str, dict[str, Any]] = {
    LOCAL: {"model": MODEL, "parameters": {"max_tokens": 40, "temperature": 0.5}},
    STAND_IN: {"model": STAGED, "parameters": {"max_tokens": 40, "temperature": 0.5}},
}

# Channel, set, connection and what the rule asks.
RULES: Sequence[dict[str, Any]] = (
    {"channel": "stable", "set": EVERYDAY, "connection": LOCAL},
    {"channel": "stable", "set": FEW, "connection": LOCAL, "repeats": 5},
    {"channel": "staging", "set": STAGED_SET, "connection": STAND_IN},
)

# Prompt and version, title and note; and what Ben says once the evaluation has ended.
PROMOTIONS: Sequence[dict[str, Any]] = (
    {
        "prompt": SHORT,
        "version": 2,
        "title": "One sentence, and one only",
        "note": "A change of one word. It should answer as before.",
        "review": "approve",
        "body": "Reads as before.",
    },
    {
        "prompt": SHORT,
        "version": 3,
        "title": "A friendlier start",
        "note": "Praises every question before it answers.",
        "review": "comment",
        "body": "Nobody asked for praise, and the evaluation counts it. Let us not.",
    },
    {
        "prompt": TIPS,
        "version": 2,
        "title": "Tips for right now",
        "note": "Four cases are all that we have so far.",
        "review": "approve",
        "body": "Fine by me. The set is small, so somebody else should agree too.",
    },
)
