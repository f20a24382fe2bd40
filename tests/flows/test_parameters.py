import pytest

from geoae.pipeline.job import Job


@pytest.fixture(scope="module")
def schemas():
    from prefect.utilities.callables import parameter_schema

    from flows.archive import restore_archive
    from flows.restore import restore_scene
    from flows.retrain import retrain
    from flows.watch import watch_inbox

    flows = {
        "restore": restore_scene,
        "archive": restore_archive,
        "watch": watch_inbox,
        "retrain": retrain,
    }
    return {name: parameter_schema(flow).model_dump() for name, flow in flows.items()}


@pytest.mark.parametrize("flow", ["restore", "archive", "watch", "retrain"])
def test_every_parameter_is_described(schemas, flow):
    properties = schemas[flow]["properties"]
    assert [
        name for name, property_ in properties.items() if not property_.get("description")
    ] == []


@pytest.mark.parametrize("flow", ["restore", "archive", "watch"])
def test_options_are_those_of_the_command(schemas, flow):
    properties = schemas[flow]["properties"]
    assert set(properties) >= set(Job.model_fields)
    assert properties["tile"]["anyOf"][0] == {"type": "integer", "exclusiveMinimum": 0}
    assert properties["precision"]["enum"] == ["auto", "fp32", "bf16"]
    assert Job.model_fields["sigma"].description in properties["sigma"]["description"]


def test_only_a_source_is_required(schemas):
    assert schemas["restore"]["required"] == ["source"]
    assert [flow for flow in ("archive", "watch", "retrain") if schemas[flow].get("required")] == []


@pytest.mark.parametrize("flow", ["restore", "archive", "watch"])
def test_bands_and_noise_may_be_written_as_for_the_command(schemas, flow):
    from prefect.utilities.schema_tools.validation import is_valid, validate

    for given in (
        {"bands": "1-3,7"},
        {"bands": [1, "3-5"]},
        {"bands": 7},
        {"sigma": "3.2,4"},
        {"sigma": [3.2, 4]},
        {"sigma": "auto"},
        {"sigma": 5},
        {"nodata": "0"},
        {"nodata": -9999},
        {"nodata": None},
    ):
        validate({"source": "s.tif", **given}, schemas[flow], raise_on_error=True)
    assert not is_valid({"source": "s.tif", "bands": 1.5}, schemas[flow])


def test_a_run_gets_them_as_numbers():
    from flows.restore import restore_scene

    found = restore_scene.validate_parameters(
        {"source": "s.tif", "bands": "1-3,7", "sigma": "3.2,4,5,6", "nodata": "0"}
    )
    assert (found["bands"], found["sigma"], found["nodata"]) == ([1, 2, 3, 7], [3.2, 4, 5, 6], 0)


def test_wrong_parameters_are_refused():
    from prefect.exceptions import ParameterTypeError

    from flows.restore import restore_scene

    with pytest.raises(ParameterTypeError, match="tile"):
        restore_scene.validate_parameters({"source": "s.tif", "tile": -1})
    with pytest.raises(Exception, match="tyle"):
        restore_scene(source="s.tif", tyle=3)
