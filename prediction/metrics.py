"""Every metric that workers count. Metrics that are read from the journal are in `monitoring/gauges`.

No label holds an id or a path of a client, so the catalog limits the number of series.
"""

from prometheus_client import Counter, Histogram

from prediction import counter_files

counter_files.use()

PREDICTIONS = Counter(
    "prediction_predictions",
    "Rows answered, recorded or not, by version and predicted class",
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
    "Requests answered with an error, by reason; model is empty if the path names none",
    ["model", "reason"],
)
CLOSED_CONNECTIONS = Counter(
    "prediction_closed_connections", "Connections that a limit closed, by the reason", ["reason"]
)
WRONG_TOKENS = Counter("prediction_wrong_tokens", "Requests with a wrong admin token")
INVALID_FIELDS = Counter(
    "prediction_invalid_fields", "Feature values refused as invalid", ["model", "feature"]
)
OUT_OF_RANGE = Counter(
    "prediction_out_of_training_range",
    "Feature values out of the training range, in rows that were answered",
    ["model", "feature"],
)
UNRECORDED = Counter(
    "prediction_unrecorded",
    "Rows answered without an id, because the journal was down and is not required",
    ["model"],
)
FEEDBACK = Counter("prediction_feedback", "Labels received, by status", ["model", "status"])
JOURNAL_COMMIT_SECONDS = Histogram(
    "prediction_journal_commit_seconds",
    "Time of one commit of predictions",
    buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0),
)
JOURNAL_RETRIES = Counter(
    "prediction_journal_retries", "Commits retried because others held the journal's lock"
)
JOURNAL_FAILURES = Counter(
    "prediction_journal_failures", "Commits that failed; their requests were answered 503"
)
JOURNAL_FAULTS = Counter(
    "prediction_journal_file_faults",
    "Times that a worker found the journal's SQLite file missing, replaced, damaged or not writable",
    ["fault"],
)
SWAPS = Counter("prediction_swaps", "Changes of the version that this worker serves", ["model"])
LOAD_FAILURES = Counter(
    "prediction_version_load_failures", "Promoted versions that could not be loaded", ["model"]
)
ARTIFACT_FETCHES = Counter(
    "prediction_artifact_fetches",
    "Tries to fetch a champion from the store of artefacts, by result",
    ["model", "result"],
)
TASK_FAILURES = Counter("prediction_background_failures", "Failures of a worker's periodic work", ["task"])
