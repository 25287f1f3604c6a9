"""What follows an event, as literal tables of names: tasks, words and letters. `settings` hands them to `events`."""

# Which tasks an event wakes when its transaction has committed, by its kind; "*" is every kind.
TASKS = {
    "*": ("events.tasks.send_webhooks", "events.tasks.send_mail"),
    "promotion.opened": ("evaluations.tasks.start_what_is_demanded",),
    "rule.added": ("evaluations.tasks.start_what_is_demanded", "evaluations.tasks.watch"),
    "set.revised": ("evaluations.tasks.start_what_is_demanded",),
    "run.started": ("evaluations.tasks.work",),
    "run.resumed": ("evaluations.tasks.work",),
    "run.finished": ("evaluations.tasks.watch",),
    "release.made": ("evaluations.tasks.watch",),
}

# Who can say what an actor or subject is called, by its kind: a function of ids -> {id: events.telling.Named}.
NAMED_BY = {
    "person": "accounts.naming.people",
    "service": "accounts.naming.people",
    "role": "accounts.naming.roles",
    "key": "accounts.naming.keys",
    "project": "accounts.naming.projects",
    "webhook": "accounts.naming.webhooks",
    "prompt": "prompts.naming.prompts",
    "version": "prompts.naming.versions",
    "release": "prompts.naming.releases",
    "channel": "prompts.naming.channels",
    "freeze": "prompts.naming.freezes",
    "policy_change": "prompts.naming.policy_changes",
    "promotion": "prompts.naming.promotions",
    "review": "prompts.naming.reviews",
    "set": "evaluations.naming.sets",
    "connection": "evaluations.naming.connections",
    "rule": "evaluations.naming.rules",
    "run": "evaluations.naming.runs",
    "watch": "evaluations.naming.watches",
}

# Whom an event is mailed to, by its kind: a function of an event -> ids of people.
MAILED_TO = {
    "member.added": "accounts.recipients.subject",
    "member.changed": "accounts.recipients.subject",
    "grant.given": "accounts.recipients.subject",
    "webhook.disabled": "accounts.recipients.admins",
    "promotion.opened": "prompts.recipients.may_review",
    "promotion.rejected": "prompts.recipients.opener",
    "promotion.missed": "prompts.recipients.scheduler",
    "review.given": "prompts.recipients.opener_who_is_asked",
    "release.made": "accounts.recipients.alarmed",
    "drift.found": "accounts.recipients.keepers",
}

# Where they get it: a function of (project, person) -> the addresses of those who are members now.
ADDRESSES = "accounts.recipients.addresses"
