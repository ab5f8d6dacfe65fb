# Two commands for a newcomer: `make search` and `make test`. Everything is installed in .venv from constraints.txt.
PYTHON ?= python3
PIP = .venv/bin/pip --disable-pip-version-check
SEARCH_ARGS ?=

TARGET ?= x86_64

.PHONY: search test check bench format proto runner page wheel clean

search: .venv/search.done  ## find a network 20 % faster than the reference on this machine's CPU
	.venv/bin/fleetnas search --latency-drop 20% $(SEARCH_ARGS)

test: .venv/dev.done  ## the full set-up, then the test suite
	.venv/bin/python -m pytest -n 2 -m "not alone"
	.venv/bin/python -m pytest -m alone

check: .venv/dev.done  ## formatting, lint, types, layers, protos
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy agents controller latency search_spaces training protos/generate.py
	.venv/bin/lint-imports
	cd protos && ../.venv/bin/buf lint
	.venv/bin/python protos/generate.py --check

bench: .venv/dev.done  ## the short benchmarks
	.venv/bin/python benchmarks/overhead.py --json
	.venv/bin/python benchmarks/emit.py --json

format: .venv/dev.done
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

proto: .venv/dev.done  ## generate the code of the .proto files again
	.venv/bin/python protos/generate.py

runner:  ## the native runner for TARGET=x86_64|aarch64|armv7, into build/runner
	$(PYTHON) agents/runner/build.py $(TARGET)

page:  ## the page that makes any phone with a browser a device, into build/page
	$(PYTHON) agents/page/build.py

wheel: .venv/bin/pip  ## the package with its page, into dist; needs node and npm where the page is not built yet
	$(PYTHON) agents/page/build.py --check 2> /dev/null || $(PYTHON) agents/page/build.py
	PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt $(PIP) wheel --quiet --no-deps --wheel-dir dist .

.venv/bin/pip:
	$(PYTHON) -m venv .venv

.venv/search.done: pyproject.toml constraints.txt | .venv/bin/pip
	$(PIP) install --quiet --no-compile --constraint constraints.txt --editable '.[search,host]'  # Python compiles what it runs
	touch $@

.venv/dev.done: pyproject.toml constraints.txt | .venv/bin/pip
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@ .venv/search.done

clean:
	rm -rf .venv
