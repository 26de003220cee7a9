# The tasks of this project; `make` alone lists them. Each needs `pip install -c constraints.txt -e '.[dev]'`.
.PHONY: help fast test long notebooks figures bench lint docs

help:  ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

fast:  ## the tests that take little time, in a minute and a half
	pytest -n auto -m "not slow" tests dcgan_viz

test:  ## all tests and notebooks, as the README says
	pytest -n auto

long:  ## what takes minutes: killed runs, many clients, the fuzzing of an hour
	pytest -n auto -m long

notebooks:  ## run the notebooks anew, with their figures
	jupyter nbconvert --to notebook --execute --inplace notebooks/*.ipynb

figures:  ## draw the README's figures anew and print its numbers
	docs/figures.sh

bench:  ## time what the README gives times for
	for file in benchmarks/*.py; do echo "== $$file" && python "$$file" || exit 1; done

lint:  ## what is checked before a commit
	ruff check . && ruff format --check . && mypy

docs:  ## build the documentation into build/docs, warnings are errors (pip install -e '.[docs]')
	sphinx-build -W --keep-going -q -b html docs build/docs
