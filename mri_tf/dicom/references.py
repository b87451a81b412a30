"""References of a derived object to the frames of its multi-frame source."""

from data_prep.io.dicom.series import Series


def frame_number(series: Series, number: int) -> int | None:
    """The number, from 1, of a slice's frame in its file; None where each file holds one slice."""
    files = {item.file for item in series.stack}
    if len(files) == len(series.stack) and all(item.frame == 0 for item in series.stack):
        return None
    return series.stack[number].frame + 1


def name_true_frames(made, series: Series) -> None:
    """Replaces frame numbers of a stand-in, which count slices of the stack, by those in the file."""
    for group in made.PerFrameFunctionalGroupsSequence:
        for derivation in group.get("DerivationImageSequence", []):
            for source in derivation.SourceImageSequence:
                number = source.get("ReferencedFrameNumber")
                if number is not None:
                    source.ReferencedFrameNumber = frame_number(series, int(number) - 1)
