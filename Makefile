# Two commands: `make up` builds, deploys and proves; `make test` runs every check. All of them can be run again at any time.
.PHONY: help up down test lint bench venv
.DEFAULT_GOAL := help

help:
	@echo 'make up     a proven tracing stack in a kind cluster on this machine'
	@echo 'make test   every check (see docs/testing.md)'
	@echo 'make lint   the checks that need no cluster and no image'
	@echo 'make bench  timings, side by side'
	@echo 'make down   removes the cluster and what runs; keeps the cache'

venv:
	@bash tools/bootstrap.sh

up down test lint bench: venv
	@.venv/bin/python -E -m tools.surroundings .venv/bin/python -m tools $@
