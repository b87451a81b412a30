"""Counts and latencies in Prometheus' text format, with TensorFlow Serving's names."""

import threading
from bisect import bisect_left

# Bucket edges as in TensorFlow Serving: latencies in microseconds, batch sizes in rows.
LATENCIES = tuple(10 * 1.8**power for power in range(32))
SIZES = tuple(2**power for power in range(12))


class _Family:
    """One metric: a counter, or a histogram where there are buckets, for each set of label values."""

    def __init__(self, name: str, labels: tuple[str, ...], buckets: tuple[float, ...] = ()):
        self.name, self.labels, self.buckets = f":tensorflow:serving:{name}", labels, buckets
        self._values, self._lock = {}, threading.Lock()

    def add(self, value: float, *labels: str) -> None:
        """Adds `value` to the counter, or counts it in its bucket."""
        with self._lock:
            if not self.buckets:
                self._values[labels] = self._values.get(labels, 0) + value
                return
            counts, total = self._values.get(labels, ([0] * (len(self.buckets) + 1), 0.0))
            counts[bisect_left(self.buckets, value)] += 1
            self._values[labels] = counts, total + value

    def lines(self):
        """The metric as lines of Prometheus' text format."""
        kind = "histogram" if self.buckets else "counter"
        yield f"# TYPE {self.name} {kind}"
        with self._lock:
            values = {
                key: (list(value[0]), value[1]) if self.buckets else value
                for key, value in self._values.items()
            }
        for key, value in sorted(values.items()):
            pairs = zip(self.labels, key, strict=True)
            labels = ",".join(f'{name}="{_escaped(text)}"' for name, text in pairs)
            if not self.buckets:
                yield f"{self.name}{{{labels}}} {value}"
                continue
            counts, total = value
            edges = [f"{edge:g}" for edge in self.buckets] + ["+Inf"]
            cumulative = 0
            for edge, count in zip(edges, counts, strict=True):
                cumulative += count
                yield f'{self.name}_bucket{{{labels},le="{edge}"}} {cumulative}'
            yield f"{self.name}_sum{{{labels}}} {total:g}"
            yield f"{self.name}_count{{{labels}}} {cumulative}"


class Metrics:
    """The metrics of the server, only of models that are served: a request cannot add a model name."""

    def __init__(self):
        self.requests = _Family("request_count", ("model_name", "status"))
        self.latency = _Family("request_latency", ("model_name", "API", "entrypoint"), LATENCIES)
        self.runtime = _Family("runtime_latency", ("model_name", "API", "runtime"), LATENCIES)
        self.batches = _Family("batching_session:processed_batch_size", ("model_name",), SIZES)

    def page(self) -> str:
        """All metrics as Prometheus reads them."""
        families = (self.requests, self.latency, self.runtime, self.batches)
        return "\n".join(line for family in families for line in family.lines()) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
