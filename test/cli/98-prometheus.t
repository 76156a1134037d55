#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Metrics as they are used: a node exporter reads the file that `stats --prometheus FILE` writes, a Prometheus server
# scrapes it, and its answers hold our counters. Both are Debian's programs (vendor/prometheus.sh), on loopback, with
# configuration and data in this test's directory. No reader ever sees half a file.
. "${0%/*}/lib.sh"
. "$TESTS/cli/named.sh"
need root cgroup python3
programs=${PYI_PROMETHEUS:-$(dirname "$(command -v promtool || echo /none/promtool)")}
for program in promtool prometheus prometheus-node-exporter; do
	[ -x "$programs/$program" ] || skip_all "there is no $program here"
done
private_state
named ""
unset HTTP_PROXY http_proxy
export GOMAXPROCS=1
mkdir textfile data
file=$T/textfile/pyisolate.prom

stats() { "$PYISOLATE" stats --prometheus "$file" </dev/null; }
# A program that listens on a port of its own choice says on which.
port_of() { sed -n 's/.*msg="Listening on".* address=127\.0\.0\.1:\([0-9]*\).*/\1/p' "$1" | head -n 1; }
has_port() { [ -n "$(port_of "$1")" ]; }

"$programs/prometheus-node-exporter" --web.listen-address=127.0.0.1:0 --collector.disable-defaults --collector.textfile \
	--collector.textfile.directory="$T/textfile" --web.disable-exporter-metrics >exporter.log 2>&1 &
exporter=$!
at_exit "kill $exporter 2>/dev/null"
ok "a node exporter" wait_for 30 has_port exporter.log || diag "$(cat exporter.log)"
cat >prometheus.yml <<X
global: {scrape_interval: 500ms, scrape_timeout: 500ms}
scrape_configs:
  - job_name: hosts
    static_configs: [{targets: ["127.0.0.1:$(port_of exporter.log)"]}]
X
"$programs/prometheus" --config.file=prometheus.yml --storage.tsdb.path="$T/data" --web.listen-address=127.0.0.1:0 \
	>prometheus.log 2>&1 &
prometheus=$!
at_exit "kill $prometheus 2>/dev/null"
ok "a Prometheus server" wait_for 60 has_port prometheus.log || diag "$(tail -n 5 prometheus.log)"
url=http://127.0.0.1:$(port_of prometheus.log)

# query EXPRESSION: "{labels} value" a line
query() { "$programs/promtool" query instant "$url" "$1" 2>>query.log | sed 's/ => \([^ ]*\) @.*/ \1/'; }
value() { query "$1" | sed 's/.* //'; }
is_value() { [ "$(value "$1")" = "$2" ]; }

# ---- sandboxes
echo 'version: 1' >'my "own" policy.yml'
pyi spawn busy --policy './my "own" policy.yml' --memory 128MiB -c 'while True: pass'
exits 0 "a live one" || diag "$err"
for i in 1 2 3 4 5 6 7 8; do
	"$PYISOLATE" spawn "over$i" -c "raise SystemExit($i)"
	"$PYISOLATE" wait "over$i"
done
ok "stats" stats

# ---- what the server says of them
ok "it has scraped the exporter" wait_for 30 is_value 'up{job="hosts"}' 1
ok "it knows the live one" wait_for 30 is_value 'pyisolate_sandboxes{state="running"}' 1
is "$(value 'pyisolate_sandboxes{state="completed"}')" 8 "and the ended ones"
is "$(value 'pyisolate_sandbox_exit_code{name="over5"}')" 5 "and their exit codes"
is "$(value 'pyisolate_sandbox_memory_limit_bytes{name="busy"}')" 134217728 "and limits"
is "$(value 'count(pyisolate_sandbox_info{name="busy",state="running",policy="./my \"own\" policy.yml"})')" 1 "labels arrive as they were"
like "$(query 'pyisolate_sandbox_cpu_seconds_total{name="busy"}')" \
	'^pyisolate_sandbox_cpu_seconds_total\{instance="127.0.0.1:[0-9]+", job="hosts", name="busy"\} [0-9.]+$' "CPU time has the labels of host and sandbox, and no others"
is "$(value 'node_textfile_scrape_error')" 0 "the exporter has nothing to complain of"

# ---- counters rise
first=$(value 'pyisolate_sandbox_cpu_seconds_total{name="busy"}')
rises() { stats; [ "$(value "pyisolate_sandbox_cpu_seconds_total{name=\"busy\"} > bool $first")" = 1 ]; }
ok "the CPU time rises from scrape to scrape (first $first s)" wait_for 30 rises
has_rate() { stats; [ "$(value 'rate(pyisolate_sandbox_cpu_seconds_total{name="busy"}[1m]) > bool 0.1')" = 1 ]; }
ok "and so has it a rate" wait_for 30 has_rate

# ---- a reader beside a writer
cat >read.py <<'X'
import os, re, sys
path, stop = sys.argv[1:]
reads = versions = 0
before = None
while not os.path.exists(stop) or not reads:
    text = open(path).read()
    reads += 1
    versions += text != before
    before = text
    names = re.findall(r'^pyisolate_sandbox_exit_code\{name="(over\d)"\} \d$', text, re.M)
    if not text.startswith("# HELP ") or not text.endswith("\n") or len(names) != 8:
        sys.exit(f"read {reads}: half a file: {len(text)} bytes, {len(names)} ended ones")
print(reads, versions)
X
python3 read.py "$file" stop >reads 2>&1 &
reader=$!
i=0
while [ $i -lt 500 ]; do
	stats || break
	i=$((i + 1))
done
: >stop
wait $reader
code=$?
said=$(cat reads)
is "$code:$i" 0:500 "while it is written 500 times no reader sees half of it: $said"
reads=${said% *} versions=${said#* }
ok "$reads reads met $versions versions" test "${versions:-0}" -gt 50
is "$(value 'max_over_time(node_textfile_scrape_error[10m])')" 0 "nor did the exporter ever"
is "$(value 'min_over_time(up{job="hosts"}[10m])')" 1 "each scrape was answered"
is "$(find textfile -type f)" "textfile/pyisolate.prom" "no other file is left"

# ---- the end of a sandbox
pyi stop busy
stats
ok "its end arrives" wait_for 30 is_value 'pyisolate_sandboxes{state="running"}' 0
is "$(value 'pyisolate_sandbox_exit_code{name="busy"}')" 143 "with its code"
kill "$exporter" "$prometheus"
wait $exporter $prometheus 2>/dev/null
done_testing
