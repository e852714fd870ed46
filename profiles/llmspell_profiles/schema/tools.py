"""The table `[tools]`: what tools may do, by kind of tool."""

import re
from tempfile import gettempdir
from typing import Annotated, Any, ClassVar, Literal

from llmspell_profiles.schema.table import Field, IdleTable, Table, subtable
from llmspell_profiles.schema.values import (
    Allows,
    Before,
    High,
    Idle,
    Names,
    NamesOrText,
    NeedsTrust,
    Size,
    expected,
    words,
    wrong,
)

Approval = Literal["never", "restricted", "always"]
SearchEngine = Literal["google", "bing", "duckduckgo", "brave", "serpapi", "serperdev", "searxng"]


def _some(value: object) -> object:
    if isinstance(value, list) and not value:
        raise wrong('needs at least one entry; "*" stands for all')
    return value


def _dimensions(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(r"[1-9]\d*x[1-9]\d*", value):
        raise expected('width and height, such as "4096x4096"')
    return value


class FileOperations(Table):
    """`[tools.file_operations]`"""

    enabled: bool = Field(default=True, description="file tools; scripts also need runtime.security.allow_file_access")
    allowed_paths: Annotated[Names, Before(_some), NeedsTrust()] = Field(
        default=(gettempdir(),), description='paths after resolving links; "*" = all'
    )
    max_file_size: Annotated[Size, High(1_000_000_000)] = Field(
        default=50_000_000, ge=1, description="largest file, in bytes"
    )
    atomic_writes: bool = Field(default=True, description="write, sync, rename")
    max_depth: Annotated[int, High(50)] = Field(default=10, ge=1, description="directory depth")
    allowed_extensions: Names = Field(default=(), description="without dot; empty = all")
    blocked_extensions: Names = Field(
        default=("exe", "dll", "so", "dylib"), description="without dot; wins over allowed_extensions"
    )
    validate_file_types: bool = Field(default=True, description="content must match the extension")


class Permissions(Table):
    """`[tools.permissions]`: what `--allow-read` and its like grant, for every script and every call of a tool."""

    NEEDS_TRUST = True

    read: NamesOrText = Field(default=(), description='absolute paths, with all below; "*" = everything')
    write: NamesOrText = Field(default=(), description="the same, to be written")
    net: NamesOrText = Field(
        default=(), description="hosts, and domains with all below; addresses near have to be named"
    )
    run: NamesOrText = Field(default=(), description="programs, by name or absolute path")
    env: NamesOrText = Field(default=(), description="environment variables of the client")


class WebSearch(Table):
    """`[tools.web_search]`"""

    rate_limit_per_minute: int = Field(default=30, ge=1, description="searches in a minute")
    allowed_domains: Names = Field(default=("*",), description="host or parent domain")
    blocked_domains: Names = Field(default=(), description="wins over allowed_domains")
    max_results: Annotated[int, High(100)] = Field(default=10, ge=1, description="hits of a search")
    timeout_seconds: int = Field(default=30, ge=1, description="one search, in seconds")
    user_agent: str = Field(default="llmspell-web-search/1.0", description="how it introduces itself")


class HttpRequest(Table):
    """`[tools.http_request]`"""

    allowed_hosts: Annotated[Names, NeedsTrust()] = Field(default=("*",), description="host or parent domain")
    blocked_hosts: Annotated[Names, NeedsTrust()] = Field(
        default=("localhost", "127.0.0.1", "0.0.0.0"),
        description="private and link-local addresses are refused besides, unless allowed_hosts names them",
    )
    max_request_size: Size = Field(default=10_000_000, ge=1, description="request and response body, in bytes")
    timeout_seconds: int = Field(default=30, ge=1, description="one request, in seconds")
    max_redirects: int = Field(default=5, ge=0, description="redirects followed")
    default_headers: dict[str, str] = Field(
        default={"User-Agent": "llmspell-http/1.0"}, description="headers of every request"
    )


class Network(Table):
    """`[tools.network]`"""

    timeout_seconds: int = Field(default=30, ge=1, description="default of network tools, in seconds")
    max_retries: Annotated[int, High(10)] = Field(default=3, ge=0, description="retries of retryable failures")
    verify_ssl: Annotated[bool, NeedsTrust()] = Field(default=True, description="check certificates")


class WebTools(Table):
    """`[tools.web_tools]`"""

    user_agent: str = Field(default="llmspell-web/1.0", description="how scraping tools introduce themselves")
    allowed_domains: NamesOrText = Field(default=("*",), description="host or parent domain")
    blocked_domains: NamesOrText = Field(default=(), description="wins over allowed_domains")
    max_redirects: int = Field(default=5, ge=0, description="redirects followed")
    scraping_delay_ms: int = Field(default=1000, ge=0, description="between requests to one host, in milliseconds")


class Media(Table):
    """`[tools.media]`"""

    max_file_size: Size = Field(default=524_288_000, ge=1, description="largest file, in bytes")
    processing_timeout_seconds: int = Field(default=300, ge=1, description="one file, in seconds")
    image_max_dimensions: Annotated[str, Before(_dimensions)] = Field(
        default="4096x4096", description="width and height in pixels, with an x between them"
    )
    video_quality: Annotated[int | None, Idle()] = Field(default=None, ge=0, le=100, description="of what is written")
    audio_sample_rate: Annotated[int | None, Idle()] = Field(default=None, ge=0, description="in Hz")


class Database(Table):
    """`[tools.database]`"""

    connection_timeout_seconds: int = Field(default=10, ge=1, description="connecting, in seconds")
    max_connections: Annotated[int, Idle()] = Field(default=10, ge=1, description="at the same time")
    allowed_hosts: Annotated[NamesOrText, NeedsTrust()] = Field(default=("localhost", "127.0.0.1"), description="hosts")
    query_timeout_seconds: int | None = Field(default=None, ge=0, description="one query, in seconds; unset: none")
    enable_query_logging: Annotated[bool, Idle()] = Field(default=False, description="without parameters")


class Email(Table):
    """`[tools.email]`"""

    NEEDS_TRUST = True

    smtp_host: str | None = Field(default=None, description="mail server")
    smtp_port: int = Field(default=587, ge=1, le=65_535, description="its port")
    smtp_username: str | None = Field(default=None, description="account")
    smtp_password: str | None = Field(default=None, secret=True, description="its password")
    from_address: str | None = Field(default=None, description="sender")
    rate_limit_per_minute: int = Field(default=2, ge=1, description="messages in a minute")
    enable_tls: bool = Field(default=True, description="encrypt")


class SystemTools(Table):
    """`[tools.system]`"""

    allow_process_execution: Annotated[bool, Allows] = Field(
        default=False,
        description="every script may run allowed_commands; needs runtime.security.allow_process_spawn too",
    )
    allowed_commands: Annotated[NamesOrText, NeedsTrust()] = Field(
        default=("ls", "cat", "echo", "pwd"), description='programs; "*" = all, and a shell; one run: --allow-run'
    )
    max_output_size: Size = Field(default=1_048_576, ge=1, description="what io.popen keeps of a program, in bytes")
    command_timeout_seconds: int = Field(default=30, ge=1, description="one program, in seconds")
    allowed_env_vars: Annotated[NamesOrText, NeedsTrust()] = Field(
        default=(), description="variables of the client that every script may read; one run: --allow-env"
    )


class DataTools(Table):
    """`[tools.data]`"""

    max_csv_size: Size = Field(default=104_857_600, ge=1, description="largest CSV file, in bytes")
    max_json_depth: int = Field(default=100, ge=1, description="nesting")
    max_xml_size: Annotated[Size, Idle()] = Field(default=104_857_600, ge=1, description="largest XML file, in bytes")
    enable_validation: Annotated[bool, Idle()] = Field(default=True, description="check what is read")
    processing_timeout_seconds: int = Field(default=300, ge=1, description="one file, in seconds")


class Academic(IdleTable):
    """`[tools.academic]`"""

    citation_api_key: str | None = Field(default=None, secret=True, description="key of the citation service")
    max_references: int = Field(default=1000, ge=1, description="references of a document")
    default_citation_style: str = Field(default="APA", description="style")
    enable_doi_resolution: bool = Field(default=True, description="look up DOIs")


class Document(Table):
    """`[tools.document]`"""

    max_pdf_size: Size = Field(default=52_428_800, ge=1, description="largest PDF file, in bytes")
    extract_images: bool = Field(default=False, description="images too")
    enable_ocr: Annotated[bool, Idle()] = Field(default=False, description="text in images")
    max_pages: int | None = Field(default=None, ge=1, description="pages read; unset: all")
    extract_metadata: bool = Field(default=True, description="title, author and the like")


class Search(Table):
    """`[tools.search]`"""

    default_engine: Annotated[SearchEngine, words(SearchEngine)] = Field(
        default="duckduckgo", description="search service"
    )
    max_results: int = Field(default=10, ge=1, description="hits of a search")
    api_key: str | None = Field(
        default=None, secret=True, description="key of default_engine, or where that needs none of the engine of a call"
    )
    endpoint: Annotated[str | None, NeedsTrust()] = Field(
        default=None, description="URL of default_engine in place of its usual one; searxng has no usual one"
    )
    google_engine_id: str | None = Field(default=None, description="the search engine (cx) that Google's key is for")
    safe_search: bool = Field(default=True, description="leave out adult content")
    timeout_seconds: int = Field(default=30, ge=1, description="one search, in seconds")


class ToolsSettings(Table):
    """`[tools]`; a further table is for the tool of that name."""

    OTHERS: ClassVar[Any] = dict[str, Any]
    FREE_TABLES: ClassVar[bool] = True

    enabled: bool = Field(default=True, description="all tools")
    rate_limit_per_minute: int | None = Field(default=None, ge=1, description="all tools together; unset: none")
    workers: Annotated[int, High(32)] = Field(default=4, ge=1, description="calls that run at the same time")
    approval: Annotated[Approval, words(Approval), NeedsTrust(lambda value: value == "always")] = Field(
        default="restricted",
        description="the level from which on a person is asked before a model's call: never, restricted, always",
    )
    permissions: Permissions = subtable("what scripts, tools and agents may touch")
    file_operations: FileOperations = subtable("files")
    web_search: WebSearch = subtable("the web search tool")
    http_request: HttpRequest = subtable("HTTP requests")
    network: Network = subtable("what network tools share")
    web_tools: WebTools = subtable("scraping")
    media: Media = subtable("images, video, audio")
    database: Database = subtable("databases")
    email: Email = subtable("mail")
    system: SystemTools = subtable("programs on this machine")
    data: DataTools = subtable("CSV, JSON, XML")
    academic: Academic = subtable("citations")
    document: Document = subtable("PDF and other documents")
    search: Search = subtable("search services")
