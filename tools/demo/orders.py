"""Of the first act: a thousand rows of an ordinary table; a sample by Kubernetes Jobs of any image, the rest
by warm workers.
"""

from pathlib import Path

from tools.demo.session import Session, follow

ORDERS = 1000
BY_JOB = 50


def create(session: Session) -> None:
    """The application's own table and rows; nothing in them knows of Rowlock."""
    session.psql(f"""
        set role app;
        create table if not exists orders(id int primary key, customer text not null,
          amount numeric(10, 2) not null, by_job bool not null,
          status text not null default 'new', error text, created_at timestamptz not null default now());
        create index if not exists orders_new on orders(id) where status = 'new';
        truncate orders;
        insert into orders(id, customer, amount, by_job) select i, 'customer-' || i % 25, i * 1.5,
          i % {ORDERS // BY_JOB} = 0 from generate_series(1, {ORDERS}) i;
        """)


def apply(session: Session) -> None:
    session.kubectl("apply", "-f", str(Path(__file__).parent / "manifests/orders.yaml"))


def process(session: Session) -> float:
    """Waits for all orders; seconds."""

    def progress() -> tuple[bool, str]:
        counts = dict(session.psql("select status, count(*) from orders group by 1"))
        billed, shipped, failed = (int(counts.get(s, 0)) for s in ("billed", "shipped", "failed"))
        line = (
            f"orders: {billed}/{ORDERS - BY_JOB} billed by workers, {shipped}/{BY_JOB} shipped by Kubernetes"
            f" Jobs, {failed} failed"
        )
        return billed + shipped + failed >= ORDERS, line

    return follow("orders", progress, deadline_seconds=600)
