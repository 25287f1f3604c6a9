"""What follows an event, as literal tables of names: tasks, words and letters. `settings` hands them to `events`."""

# Which tasks an event wakes when its transaction has committed, by its kind; "*" is every kind.
TASKS = {
    "*": ("events.tasks.send_webhooks", "events.tasks.send_mail"),
}

# Who can say what an actor or subject is called, by its kind: a function of ids -> {id: events.telling.Named}.
NAMED_BY = {
    "person": "accounts.telling.people",
    "service": "accounts.telling.people",
    "key": "accounts.telling.keys",
    "project": "accounts.telling.projects",
    "webhook": "accounts.telling.webhooks",
    "prompt": "prompts.telling.prompts",
    "version": "prompts.telling.versions",
    "release": "prompts.telling.releases",
    "channel": "prompts.telling.channels",
    "freeze": "prompts.telling.freezes",
    "policy_change": "prompts.telling.policy_changes",
}

# Whom an event is mailed to, by its kind: a function of an event -> ids of people. Whoever did it gets no letter.
MAILED_TO = {
    "member.added": "accounts.telling.subject",
    "member.changed": "accounts.telling.subject",
    "grant.given": "accounts.telling.subject",
    "webhook.disabled": "accounts.telling.admins",
    "release.made": "accounts.telling.alarmed",
}

# Where they get it: a function of (project, person) -> the addresses of those who are members now.
ADDRESSES = "accounts.telling.addresses"
