from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from watchbill.lab.trials.plan import Job, Wanted, plan_trial
from watchbill.lab.trials.work import work


@pytest.fixture(scope="session")
def quick_jobs() -> list[Job]:
    """One small world with two attacks, and one for the speed of a record."""
    return plan_trial(
        Wanted(
            seeds=(1,),
            attacks="blatant_lease,leaver_reuse",
            stress="none",
            days=4,
            outlets=5,
            control_outlets=0,
            scale=0.25,
        )
    )


@pytest.fixture(scope="session")
def worked(quick_jobs: list[Job], tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """The result of the small world, and the folder in which it was worked."""
    folder = tmp_path_factory.mktemp("worked")
    phases: list[str] = []
    result = work(quick_jobs[0], folder, phases.append)
    assert phases == ["building", "replaying", "counting"]
    return result, folder
