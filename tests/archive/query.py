"""What DuckDB finds: reads SQL on standard input, and writes what it gives as JSON, a list for each row."""

import json
import sys

import duckdb

print(json.dumps(duckdb.sql(sys.stdin.read()).fetchall(), default=str))
