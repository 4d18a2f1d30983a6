"""Every metric's name. Workers count events; what the journal knows is not counted here.

No label holds an id or a path that a client chose: the number of series is bounded by the catalog.
"""

from prometheus_client import Counter, Histogram

PREDICTIONS = Counter(
    "prediction_predictions",
    "Rows answered, recorded or not, by the version that answered and the class it said",
    ["model", "version", "predicted_class"],
)
REQUEST_SECONDS = Histogram(
    "prediction_request_duration_seconds",
    "From the whole body read to the answer ready, by model and route",
    ["model", "route"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
)
REFUSED = Counter(
    "prediction_refused_requests",
    "Requests answered with an error, by the reason; model is empty where none was named",
    ["model", "reason"],
)
CLOSED_CONNECTIONS = Counter(
    "prediction_closed_connections", "Connections that a limit closed, by the reason", ["reason"]
)
INVALID_FIELDS = Counter(
    "prediction_invalid_fields", "Feature values refused as invalid", ["model", "feature"]
)
OUT_OF_RANGE = Counter(
    "prediction_out_of_training_range",
    "Feature values answered although the version was trained on none like them",
    ["model", "feature"],
)
UNRECORDED = Counter(
    "prediction_unrecorded",
    "Rows answered without an id, because the journal was down and is not required",
    ["model"],
)
FEEDBACK = Counter("prediction_feedback", "Labels received, by what became of them", ["model", "status"])
JOURNAL_COMMIT_SECONDS = Histogram(
    "prediction_journal_commit_seconds",
    "Time of one commit of predictions",
    buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0),
)
JOURNAL_RETRIES = Counter(
    "prediction_journal_retries", "Commits put off because another process held the journal's lock"
)
JOURNAL_FAILURES = Counter(
    "prediction_journal_failures", "Commits given up, whose requests were answered 503"
)
SWAPS = Counter("prediction_swaps", "Changes of the version that this worker serves", ["model"])
LOAD_FAILURES = Counter(
    "prediction_version_load_failures", "Promoted versions that could not be loaded", ["model"]
)
TASK_FAILURES = Counter("prediction_background_failures", "Failures of a worker's periodic work", ["task"])
