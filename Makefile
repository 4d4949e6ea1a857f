# make        set up .venv, then the main job: train LeNet on the digits in the package, export it
#             as C, compile it, compare it with JAX
# make draw   set up the same way, train LeNet on MNIST (fetched, or found in LENET_DATA), and put
#             its C into a page to draw digits in
# make test   set up the same way, then the tests
# make test-all  those, and then the rest of the widest matrices, such as CPUs x compilers x images
# make docs   set up the same way, then the documents as a site in build/site
# make links  ask for each page of others that the documents link to, which needs a network
# make clean  remove what these made
#
# Needs Python 3.11 or later, a C compiler, and the package index once.

PYTHON ?= python3
RUN := build/digits
PAGE := build/draw
MODERN := --activation relu --pool max --norm batch --init he

.PHONY: digits draw test test-all docs links clean
digits: .venv/installed
	@.venv/bin/lenet-train --dataset digits --anew --out $(RUN)
	@.venv/bin/lenet-export --target c --model $(RUN)/model.safetensors --images $(RUN) --out $(RUN)

draw: .venv/installed-for-pages
	@.venv/bin/lenet-train --dataset mnist --recipe fast $(MODERN) --anew --out $(PAGE)
	@.venv/bin/lenet-export --target web --model $(PAGE)/model.safetensors --max-error 0.005 \
	    --out $(PAGE)
	@echo "Open $(PAGE)/lenet.html in a browser, and draw a digit."

test: .venv/installed-for-tests
	@.venv/bin/pytest --numprocesses auto

test-all: test
	@.venv/bin/pytest --numprocesses auto -m wide

docs: .venv/installed-for-docs
	@.venv/bin/python docs/site/build_site.py

links: .venv/installed-for-docs
	@.venv/bin/python -m sphinx -b linkcheck --quiet --conf-dir docs/site . build/links

.venv/installed: pyproject.toml
	@echo "Setting up .venv (a minute or two) ..."
	@$(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[all]'
	@touch $@

# A compiler for WebAssembly, where there is none.
.venv/installed-for-pages: .venv/installed
	@(command -v clang && command -v wasm-ld) >/dev/null || \
	    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[web]'
	@touch $@

.venv/installed-for-tests: .venv/installed
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

.venv/installed-for-docs: .venv/installed
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

clean:
	rm -rf .venv build
