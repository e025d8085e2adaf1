"""What MLflow's page shows of a paper at first: columns and charts, kept with its experiment."""

import json
from typing import Any

TABLE, CHARTS = "repro", "repro-charts"  # the views, by the names that they are kept under
COLUMNS = ("metrics.test_error", "metrics.reported", "metrics.difference", "metrics.std")
COLUMNS += ("tags.verdict", "tags.seed", "tags.scale")
FIRST = ("attributes.`Run Name`", "runDateAndNestInfo", "duration")  # columns of the page itself
WIDTHS = {"attributes.`Run Name`": 280, "tags.`verdict`": 170}  # pixels
BESIDE = "tags.kind = 'group' and metrics.reported > 0"  # the groups beside a number of the paper


def tag(view: str) -> str:
    """The tag of an MLflow experiment that a view is kept in."""
    return f"mlflow.sharedViewState.{view}"


def tags() -> dict[str, str]:
    """The tags of an MLflow experiment: that it is of machine learning, and its views."""
    columns = [f"{kind}.`{name}`" for kind, name in (c.split(".") for c in COLUMNS)]
    table = {"selectedColumns": columns, "columnOrder": [*FIRST, *columns], "columnWidths": WIDTHS}
    charts = {
        **table,
        "searchFilter": BESIDE,
        "runsHiddenMode": "SHOW_ALL",  # else the first ten
        "isAccordionReordered": True,  # the sections stand in this order
        "compareRunSections": [_section("beside", "Measured beside the paper"), _section("all")],
        "compareRunCharts": _charts(),
    }
    return {
        "mlflow.experimentKind": "custom_model_development",
        tag(TABLE): json.dumps(table),
        tag(CHARTS): json.dumps(charts),
    }


def link(experiment_id: str, view: str) -> str:
    """The page of a view, below the address of the server."""
    mode = "compareRunsMode=CHART&" if view == CHARTS else ""
    query = f"{mode}workflowType=machine_learning&viewStateShareKey={view}"
    return f"#/experiments/{experiment_id}/runs?{query}"


def _section(uuid: str, name: str = "Model metrics") -> dict[str, Any]:
    return {"uuid": uuid, "name": name, "display": uuid != "all", "isReordered": True}


def _charts() -> list[dict[str, Any]]:
    """Bars of both numbers for each group of runs, of their difference, one against the other."""
    both = ["reported", "measured"]
    charts = [
        {"type": "BAR", "metricKey": both[0], "selectedMetricKeys": both},
        {"type": "BAR", "metricKey": "difference"},
        {
            "type": "SCATTER",
            "xaxis": {"key": "reported", "type": "METRIC"},
            "yaxis": {"key": "measured", "type": "METRIC"},
        },
    ]
    own = {"metricSectionId": "beside", "runsCountToCompare": 100, "deleted": False}
    return [{"uuid": f"repro-{place}", **own, **chart} for place, chart in enumerate(charts)]
