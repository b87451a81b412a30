"""All solids of the synthetic thorax, as a function of the patient.

`parts` lists solids in painting order: a later one covers an earlier one, which is how the left
ventricle comes to lie inside its wall.
"""

from data_prep.phantom.thorax_body import abdomen, chest_wall
from data_prep.phantom.thorax_bones import ribs, spine, sternum
from data_prep.phantom.thorax_findings import findings
from data_prep.phantom.thorax_heart import great_vessels, heart, veins_and_branches
from data_prep.phantom.thorax_lungs import airway, lung_vessels, lungs
from data_prep.phantom.thorax_parts import FAT_HU, Part
from data_prep.phantom.thorax_patient import ThoraxPatient


def parts(patient: ThoraxPatient) -> list[Part]:
    """All solids of the patient in painting order."""
    heart_and_vessels = heart(patient) + great_vessels(patient)
    # Fat between heart or vessel and lung: without it the mediastinum would have no outline.
    fat = [
        Part(part.shape.grown(patient.epicardial_fat_mm), FAT_HU, within_lung=True)
        for part in heart_and_vessels
    ]
    return (
        chest_wall(patient)
        + lungs(patient)
        + abdomen(patient)
        + ribs(patient)
        + spine(patient)
        + fat
        + lung_vessels(patient)
        + veins_and_branches(patient)
        + heart_and_vessels
        + airway(patient)
        + sternum(patient)
        + findings(patient)
    )
