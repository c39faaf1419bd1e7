"""What is drawn of an MJCF is what MuJoCo's viewer shows."""

import mujoco
import numpy as np
import pytest

from manyseeds.evaluation.player.shapes import shapes

KINDS = {
    "box": ('size="0.1 0.2 0.3"', (0.1, 0.2, 0.3)),
    "sphere": ('size="0.2"', (0.2, 0.2, 0.2)),
    "ellipsoid": ('size="0.1 0.2 0.3"', (0.1, 0.2, 0.3)),
    "cylinder": ('size="0.1 0.3"', (0.1, 0.1, 0.3)),
    "capsule": ('size="0.1 0.3"', (0.1, 0.1, 0.4)),
    "plane": ('size="2 3 0.1"', (2, 3, 0)),
    "mesh": ('mesh="tent"', (0.5, 0.5, 0.5)),
    "hfield": ('hfield="hill"', (1, 2, 0.25)),
}
MJCF = """
<mujoco>
  <asset>
    <material name="red" rgba="1 0 0 0.5"/>
    <mesh name="tent" vertex="0 0 0 1 0 0 0 1 0 0 0 1"/>
    <hfield name="hill" nrow="3" ncol="3" size="1 2 0.5 0.1" elevation="0 0 0 0 1 0 0 0 0"/>
  </asset>
  <worldbody>{}</worldbody>
</mujoco>
"""


def model(world):
    return mujoco.MjModel.from_xml_string(MJCF.format(world))


@pytest.mark.parametrize("kind", KINDS)
def test_a_geom_has_its_size_and_its_triangles_face_outward(kind):
    attributes, half = KINDS[kind]
    (shape,) = shapes(model(f'<geom type="{kind}" {attributes}/>'))
    low, high = shape.vertices.min(0), shape.vertices.max(0)
    assert (high - low) / 2 == pytest.approx(half, rel=0.02, abs=1e-6)
    a, b, c = (shape.vertices[shape.faces[:, i]] for i in range(3))
    normals, middle = np.cross(b - a, c - a), shape.vertices.mean(0)
    if kind in ("plane", "hfield"):
        assert (normals[:, 2] > 0).all()
    else:
        assert (((a + b + c) / 3 - middle) * normals).sum(1).min() > 0


def test_a_geom_stands_where_its_body_has_it():
    world = '<body pos="5 5 5"><geom type="box" size="0.1 0.2 0.3" pos="1 2 3" euler="0 0 90"/></body>'
    (shape,) = shapes(model(world))
    assert shape.body == 1
    assert shape.vertices.min(0) == pytest.approx([0.8, 1.9, 2.7])
    assert shape.vertices.max(0) == pytest.approx([1.2, 2.1, 3.3])


def test_colors_are_the_geoms_or_else_the_materials():
    own, of_material = shapes(model('<geom size="1" rgba="0 1 0 1" material="red"/><geom size="1" material="red"/>'))
    assert (own.color, own.opacity) == ((0, 255, 0), 1.0)
    assert (of_material.color, of_material.opacity) == ((255, 0, 0), 0.5)


def test_what_a_viewer_hides_is_left_out():
    assert shapes(model('<geom size="1" group="3"/><geom size="1" rgba="1 1 1 0"/>')) == []
    assert len(shapes(model('<geom size="1" group="2"/>'))) == 1
