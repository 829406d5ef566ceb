//! ai.onnx.ml: what scikit-learn, XGBoost and LightGBM export. Decisions as onnxruntime makes them, where
//! ONNX leaves them open; where the two contradict each other, refused.

mod columns;
mod encode;
mod linear;
mod post;
mod scale;
mod tree;

use super::Lowering;

/// The lowering of an operator of ai.onnx.ml.
pub(super) fn find(op: &str) -> Option<Lowering> {
    Some(match op {
        "Scaler" => scale::scaler,
        "Normalizer" => scale::normalizer,
        "Imputer" => scale::imputer,
        "Binarizer" => scale::binarizer,
        "OneHotEncoder" => encode::one_hot,
        "LabelEncoder" => encode::label,
        "ArrayFeatureExtractor" => columns::extract,
        "FeatureVectorizer" => columns::vectorize,
        "ZipMap" => columns::zip_map,
        "LinearRegressor" => linear::regressor,
        "LinearClassifier" => linear::classifier,
        "TreeEnsembleRegressor" => tree::regressor,
        "TreeEnsembleClassifier" => tree::classifier,
        "TreeEnsemble" => tree::ensemble,
        _ => return None,
    })
}
