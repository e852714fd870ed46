"""The table `[rag]`: the vector index, how documents get into it, and how it is watched."""

from pathlib import Path
from typing import Annotated, Literal

from llmspell_profiles.schema.table import Field, IdleTable, Table, rule, subtable
from llmspell_profiles.schema.values import FilePath, High, Idle, NeedsTrust, words, wrong

VectorBackend = Literal["hnsw"]
Metric = Literal["cosine", "euclidean", "inner_product"]
Quantization = Literal["f32", "f16", "i8"]
ChunkingStrategy = Literal["auto", "sliding_window", "sentence", "paragraph", "markdown", "semantic", "code"]

MEMORY = ":memory:"
"""What stands in place of a directory where nothing is to be kept, as SQLite has it."""


class Hnsw(Table):
    """`[rag.vector_storage.hnsw]`"""

    m: int = Field(default=16, ge=2, le=100, description="links of a node")
    ef_construction: int = Field(default=200, ge=1, description="build breadth; at least m")
    ef_search: int = Field(default=50, ge=1, description="search breadth; unset: as the index's size needs")
    max_elements: int = Field(default=1_000_000, ge=1, description="limit, not reserved in advance")
    seed: Annotated[int | None, Idle()] = Field(default=None, ge=0, description="of the random levels")
    metric: Annotated[Metric, words(Metric, {"innerproduct": "inner_product"})] = Field(
        default="cosine", description="distance"
    )
    allow_replace_deleted: bool = Field(default=True, description="reuse removed slots")
    num_threads: int | None = Field(default=None, ge=1, description="threads; unset: one a core")
    nb_layers: Annotated[int | None, Idle()] = Field(default=None, ge=1, le=64, description="layers; unset: by size")
    parallel_batch_size: int = Field(default=128, ge=1, description="vectors in one parallel insertion")
    enable_mmap: bool = Field(default=True, description="open a persisted index memory-mapped")
    mmap_sync_interval: int = Field(default=60, ge=0, description="between saves of a changed index, in seconds")

    @rule
    def _build_breadth_reaches_all_links(self) -> None:
        if self.ef_construction < self.m:
            raise wrong(f"must be at least m ({self.m}), got {self.ef_construction}", "ef_construction")


class VectorStorage(Table):
    """`[rag.vector_storage]`"""

    dimensions: int = Field(default=384, ge=1, description="must fit the embedding model")
    backend: Annotated[VectorBackend, words(VectorBackend)] = Field(default="hnsw", description="kind of index")
    persistence_path: Annotated[FilePath | None, NeedsTrust()] = Field(
        default=None, description='directory; unset: "rag" in the home; ":memory:": nothing is kept'
    )
    max_memory_mb: int = Field(default=500, ge=0, description="insertions beyond it fail, in MB")
    quantization: Annotated[Quantization, words(Quantization)] = Field(
        default="f16", description="of an index's vectors: f32, f16 or i8"
    )
    max_documents: int | None = Field(default=None, ge=1, description="most documents of a collection")
    max_storage_mb: int | None = Field(
        default=None, ge=1, description="most that a collection takes on the disk, in MB"
    )
    hnsw: Hnsw = subtable("the index")


class Embedding(Table):
    """`[rag.embedding]`"""

    default_provider: Annotated[str, NeedsTrust()] = Field(default="openai", description="a provider's name, or local")
    cache_enabled: bool = Field(default=True, description="keep embeddings")
    cache_size: int = Field(default=10_000, ge=0, description="embeddings kept")
    cache_ttl_seconds: int = Field(default=3600, ge=0, description="how long, in seconds")
    batch_size: int = Field(default=32, ge=1, description="texts in one call")
    timeout_seconds: int = Field(default=30, ge=1, description="one call, in seconds")
    max_retries: Annotated[int, High(10)] = Field(default=3, ge=0, description="retries of retryable failures")


class Chunking(Table):
    """`[rag.chunking]`: sizes in tokens."""

    strategy: Annotated[ChunkingStrategy, words(ChunkingStrategy)] = Field(
        default="sliding_window", description="how documents are cut"
    )
    chunk_size: int = Field(default=512, ge=1, description="tokens; between min_chunk_size and max_chunk_size")
    overlap: int = Field(default=64, ge=0, description="tokens; less than chunk_size")
    max_chunk_size: int = Field(default=2048, ge=1, description="tokens")
    min_chunk_size: int = Field(default=100, ge=0, description="tokens")

    @rule
    def _sizes_fit(self) -> None:
        if self.max_chunk_size < self.min_chunk_size:
            text = f"must be at least min_chunk_size ({self.min_chunk_size}), got {self.max_chunk_size}"
            raise wrong(text, "max_chunk_size")
        if not self.min_chunk_size <= self.chunk_size <= self.max_chunk_size:
            bounds = f"{self.min_chunk_size} to {self.max_chunk_size}, min_chunk_size to max_chunk_size"
            raise wrong(f"{self.chunk_size} is out of range ({bounds})", "chunk_size")
        if self.overlap >= self.chunk_size:
            raise wrong(f"must be less than chunk_size ({self.chunk_size}), got {self.overlap}", "overlap")


class RagCache(Table):
    """`[rag.cache]`"""

    search_cache_enabled: bool = Field(default=True, description="keep search results")
    search_cache_size: int = Field(default=1000, ge=0, description="queries kept")
    search_cache_ttl_seconds: int = Field(default=300, ge=0, description="how long, in seconds")
    document_cache_enabled: bool = Field(default=True, description="keep documents")
    document_cache_size_mb: int = Field(default=100, ge=0, description="of documents, in MB")


class RagDebug(Table):
    """`[rag.debug]`"""

    enable_debug_logging: bool = Field(default=False, description="RAG logger at debug level")
    log_all_operations: bool = Field(default=False, description="one log line an operation, without contents")
    save_debug_dumps: bool = Field(default=False, description="query, hits and scores as JSON files")
    debug_dump_path: Annotated[FilePath, NeedsTrust()] = Field(
        default=Path("debug/rag"), check_default=True, description="where"
    )


class RagPerformance(Table):
    """`[rag.performance]`"""

    enable_metrics: bool = Field(default=False, description="counters in the kernel's metrics")
    metrics_interval_seconds: int = Field(default=60, ge=1, description="log line with the counters, in seconds")
    log_slow_operations: bool = Field(default=False, description="warn about slow ones")
    slow_operation_threshold_ms: int = Field(default=100, ge=0, description="what slow is, in milliseconds")


class RagMonitoring(Table):
    """`[rag.monitoring]`"""

    enable_metrics: bool = Field(default=False, description="same as performance.enable_metrics")
    metrics_export_interval: Annotated[int, Idle()] = Field(
        default=60, ge=0, description="in seconds; there is no exporter"
    )
    enable_health_checks: bool = Field(default=False, description="the index in the kernel's status")
    alert_on_errors: bool = Field(default=False, description="an error log line above the threshold")
    error_threshold_per_minute: int = Field(default=10, ge=0, description="the threshold")


class RagSecurity(Table):
    """`[rag.security]`"""

    enable_audit_logging: bool = Field(default=False, description="NDJSON: who, what, when; no contents")
    audit_log_path: Annotated[FilePath, NeedsTrust()] = Field(
        default=Path("~/.llmspell/logs/rag-audit.log"), check_default=True, description="where"
    )
    enable_rate_limiting: bool = Field(default=False, description="limit operations")
    rate_limit_per_user: int = Field(default=100, ge=0, description="operations a minute and tenant")
    enable_input_validation: bool = Field(default=False, description="refuse oversized or undecodable input")
    max_input_size_kb: int = Field(default=100, ge=0, description="largest input, in KB")


class RagBackup(IdleTable):
    """`[rag.backup]`"""

    enable_auto_backup: bool = Field(default=False, description="copies without being asked")
    backup_interval_hours: int = Field(default=24, ge=0, description="between copies, in hours")
    backup_retention_days: int = Field(default=30, ge=0, description="how long copies are kept, in days")
    backup_path: FilePath | None = Field(default=None, description="where")


class RagSettings(Table):
    """`[rag]`"""

    enabled: bool = Field(default=False, description="the RAG global and index")
    multi_tenant: bool = Field(default=False, description="every call needs a tenant; one index each")
    vector_storage: VectorStorage = subtable("the index")
    embedding: Embedding = subtable("texts to vectors")
    chunking: Chunking = subtable("how documents are cut")
    cache: RagCache = subtable("what is kept")
    debug: RagDebug = subtable("looking inside")
    performance: RagPerformance = subtable("counters and slow operations")
    monitoring: RagMonitoring = subtable("health and alerts")
    security: RagSecurity = subtable("audit and limits")
    backup: RagBackup = subtable("copies of the index")
