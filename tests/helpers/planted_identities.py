"""A patient's identity in every header field that has one, and the words by which it is found again."""

PLANTED = {
    "PatientName": "Zebedee^Quark",
    "PatientID": "QX-7781",
    "OtherPatientIDs": "ZZ-4417",
    "PatientBirthDate": "19610203",
    "StudyDate": "20190807",
    "SeriesDate": "20190808",
    "AcquisitionTime": "113355.017",
    "ReferringPhysicianName": "Vandermeer^Otto",
    "OperatorsName": "Pfefferkorn",
    "InstitutionName": "Hospital of Nowhere",
    "StationName": "NOWHERE3",
    "SeriesDescription": "t1 of Zebedee, gd",
    "ProtocolName": "t1 Zebedee 20190807",
    "SequenceName": "quark_seq",
    "PatientComments": "Zebedee moved",
    "ContrastBolusAgent": "10 ml for Zebedee",
    "AccessionNumber": "ACC-90210",
    "StudyInstanceUID": "1.2.3.777001",
    "FrameOfReferenceUID": "1.2.3.777002",
    "ManufacturerModelName": "Magic Quark 3",
    "ScanningSequence": ["SE", "ZEBEDEE"],
}
WORDS = ("zebedee", "quark", "7781", "4417", "19610203", "20190807", "20190808", "113355",
         "vandermeer", "pfefferkorn", "nowhere", "90210", "77700")  # fmt: skip
UID = "1.2.3.777009"
