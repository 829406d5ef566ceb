"""Naive Bayes, discriminant analysis, a mixture of Gaussians."""

from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.mixture import GaussianMixture
from sklearn.naive_bayes import BernoulliNB, GaussianNB, MultinomialNB

from common import SEED
from families import sklearn

CLASSES = ["label", "scores"]


def run(name, model, data, text, task="classification", **more):
    return sklearn(name, "families_bayes", model, data, task, text, outputs=CLASSES, **more)


def iris_gaussian_nb():
    return run("iris_gaussian_nb", GaussianNB(), "iris", "Gaussian naive Bayes: setosa, versicolor or virginica?")


def digits_multinomial_nb():
    text = "Multinomial naive Bayes over ink counts: which digit?"
    return run("digits_multinomial_nb", MultinomialNB(), "digits", text)


def digits_bernoulli_nb():
    text = "Bernoulli naive Bayes over pixels that are dark or not: which digit?"
    return run("digits_bernoulli_nb", BernoulliNB(binarize=7.0), "digits", text)


def wine_lda():
    text = "Linear discriminant analysis: which of three cultivars?"
    return run("wine_lda", LinearDiscriminantAnalysis(), "wine", text)


def iris_qda():
    text = "Quadratic discriminant analysis: setosa, versicolor or virginica?"
    return run("iris_qda", QuadraticDiscriminantAnalysis(), "iris", text)


def iris_gmm():
    text = "A mixture of three Gaussians: to which does a flower belong, and how surely?"
    return run("iris_gmm", GaussianMixture(3, random_state=SEED), "iris", text, task="clusters")
