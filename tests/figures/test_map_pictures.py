"""Pictures of maps: the anatomy stays visible, air has no colour, an empty map is a line of text."""

import numpy as np
import pytest
from plotted import overlay

from mri_tf import figures
from mri_tf.figures.maps import ZERO
from mri_tf.figures.overlay import HALF, MAX_OPACITY, Overlay


def drawn_map(axes):
    """The second image of a panel: the map."""
    assert len(axes.images) == 2
    return axes.images[1]


def colours_of(shown) -> np.ndarray:
    """(rows, columns, 4) red, green, blue and opacity of a map's pixels."""
    return shown.to_rgba(shown.get_array())


def panels_of(figure) -> tuple[list, list]:
    """Panels with the image alone, and those with the map, without the colour bar."""
    panels = [axes for axes in figure.axes if axes.images and axes.images[0].get_cmap().name == "gray"]
    plain = [axes for axes in panels if len(axes.images) == 1]
    return plain, [axes for axes in panels if axes not in plain]


def note_of(figure) -> str:
    return " ".join(figure.get_supxlabel().split())


@pytest.mark.parametrize(("dimensions", "count"), [(2, 1), (3, 3)])
def test_the_image_alone_stands_beside_the_image_with_its_map(dimensions, count):
    shown = overlay(dimensions)
    plain, covered = panels_of(figures.draw_map(shown, "title", "note."))
    assert len(plain) == len(covered) == count
    for alone, beside, plane in zip(plain, covered, shown.planes(), strict=True):
        np.testing.assert_array_equal(alone.images[0].get_array(), beside.images[0].get_array())
        np.testing.assert_array_equal(drawn_map(beside).get_array().data, plane.values)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_opacity_grows_with_the_value_and_never_hides_the_image(dimensions):
    shown = overlay(dimensions)
    _, covered = panels_of(figures.draw_map(shown, "title", "note."))
    for axes, plane in zip(covered, shown.planes(), strict=True):
        opacity = colours_of(drawn_map(axes))[..., 3]
        body = ~plane.air
        order = np.argsort(plane.values[body])
        assert (np.diff(opacity[body][order]) >= 0).all()
        assert opacity.max() == pytest.approx(MAX_OPACITY) and MAX_OPACITY < 0.7
    assert drawn_map(axes).cmap(0.0)[3] == 0


def test_brightness_of_the_colours_grows_with_the_value_so_that_grey_print_shows_it():
    _, (axes,) = panels_of(figures.draw_map(overlay(2), "title", "note."))
    red, green, blue, _ = drawn_map(axes).cmap(np.linspace(0, 1, 64)).T
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    assert (np.diff(luminance) > 0).all()


@pytest.mark.parametrize("dimensions", [2, 3])
def test_air_has_no_colour_and_the_note_says_how_much_of_the_map_lies_there(dimensions):
    shown = overlay(dimensions)
    figure = figures.draw_map(shown, "title", "note.")
    for axes, plane in zip(panels_of(figure)[1], shown.planes(), strict=True):
        opacity = colours_of(drawn_map(axes))[..., 3]
        assert plane.air.any() and plane.values[plane.air].max() > 0
        assert (opacity[plane.air] == 0).all() and (opacity[~plane.air] > 0).any()
    share = shown.values[shown.air].sum() / shown.values.sum()
    assert share > 0.01 and f"{share:.0%} of the map lies in the air" in note_of(figure)
    inside = Overlay(shown.image, np.where(shown.air, 0, shown.values), shown.air)
    assert "air" not in note_of(figures.draw_map(inside, "title", "note."))


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_contour_is_at_half_of_the_maximum_of_the_whole_map(dimensions):
    shown = overlay(dimensions)
    for axes in panels_of(figures.draw_map(shown, "title", "note."))[1]:
        (contour,) = axes.collections
        np.testing.assert_allclose(contour.levels, [HALF * shown.values.max()])


def test_the_scale_has_the_values_of_the_map_and_marks_the_contour():
    shown = overlay(2)
    figure = figures.draw_map(shown, "title", "note.")
    (scale,) = [axes for axes in figure.axes if axes.get_ylabel().startswith("value of the map")]
    top = shown.values.max()
    np.testing.assert_allclose(scale.get_yticks(), [0, top / 2, top])
    written = [label.get_text() for label in scale.get_yticklabels()]
    assert written == ["0", f"{top / 2:.2g}", f"{top:.2g}"]
    assert any(np.allclose(line.get_ydata(), top / 2) for line in scale.lines)


@pytest.mark.parametrize(("dimensions", "count"), [(2, 1), (3, 3)])
def test_a_map_of_zeros_is_the_plain_image_and_a_line(dimensions, count):
    figure = figures.draw_map(overlay(dimensions, 0.0), "title", "Grad-CAM.")
    plain, covered = panels_of(figure)
    assert len(plain) == count == len(figure.axes) and not covered
    assert note_of(figure) == f"Grad-CAM. {ZERO}" and ZERO in figures.alt_text(figure)


def test_the_planes_of_a_volume_go_through_the_maximum_and_keep_its_proportions():
    shown = overlay(3)
    shown = Overlay(shown.image, shown.values, shown.air, (3.0, 1.0, 0.5))
    planes = shown.planes()
    assert [plane.name for plane in planes] == ["axial", "coronal", "sagittal"]
    assert all(plane.values.max() == shown.values.max() for plane in planes)
    assert [plane.aspect for plane in planes] == [2.0, 6.0, 3.0]  # height of a pixel over its width
    depth, rows, columns = shown.image.shape
    shapes = [plane.image.shape for plane in planes]
    assert shapes == [(rows, columns), (depth, columns), (depth, rows)]
    axes = panels_of(figures.draw_map(shown, "title", "note."))[1][1]
    assert axes.get_aspect() == 6.0


def test_an_image_of_one_value_and_a_map_of_one_value_are_drawn():
    flat = np.full((8, 8), 51.0)
    figure = figures.draw_map(Overlay(flat, flat / 51, np.zeros((8, 8), bool)), "title", "note.")
    figure.canvas.draw()
    _, (axes,) = panels_of(figure)
    assert np.isclose(colours_of(drawn_map(axes))[..., 3], MAX_OPACITY).all()
    assert not axes.collections  # half of the maximum is nowhere


@pytest.mark.parametrize(("dimensions", "count"), [(2, 1), (2, 7), (3, 2)])
def test_a_sheet_has_every_record_as_image_beside_the_image_with_its_map(dimensions, count):
    shown, empty = overlay(dimensions), overlay(dimensions, 0.0)
    tiles = [figures.MapTile(shown.planes(), shown.top, f"record {number}\n0.{number}3 for HGG")
             for number in range(count)]  # fmt: skip
    tiles.append(figures.MapTile(empty.planes(), empty.top, "record empty"))
    figure = figures.draw_map_sheet(tiles, "HGG: records", "note")
    plain, covered = panels_of(figure)
    planes = 1 if dimensions == 2 else 3
    assert len(plain) == planes * len(tiles) and len(covered) == planes * count
    captions = [part.get_suptitle() for part in figure.subfigs if part.get_suptitle()]
    assert captions == [tile.caption for tile in tiles]
    said = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert said == ["map is 0\neverywhere"]
    for axes in covered:
        np.testing.assert_allclose(axes.collections[0].levels, [HALF * shown.top])
