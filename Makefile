# `make up` builds, deploys and proves; `make check` and `make test` show whether a change is good. docs/testing.md
.PHONY: help up down check test test-all bench tempo-configs venv
.DEFAULT_GOAL := help

help:
	@echo 'make up        a proven tracing stack in a kind cluster on this machine'
	@echo 'make down      removes the cluster and what runs; keeps the cache'
	@echo 'make check     style, types and quick unit tests: no image, no cluster, under a minute'
	@echo 'make test      what a pull request needs'
	@echo 'make test-all  everything: also load, faults, real time, peers, the oldest ansible-core'
	@echo 'make test GATE=NAME [ARGS="-k word"]  one part of them, or several: GATE="unit parity"'
	@echo 'make bench     timings, side by side'
	@echo 'make tempo-configs  the approved configurations of Tempo, written again (docs/testing.md)'
	@! test -x .venv/bin/python || { echo 'Gates, and the first command that has them:'; .venv/bin/python -E -m tools gates; }

venv:
	@bash tools/bootstrap.sh

up down check test test-all bench tempo-configs: venv
	@.venv/bin/python -E -m tools.surroundings .venv/bin/python -m tools $@ $(GATE:%=--gate=%) $(if $(ARGS),-- $(ARGS))
